#!/usr/bin/env python3
"""Makes RELAX NG (XML syntax) out of our sources in RELAX NG compact syntax.

usage: generate.py cib SOURCE OUTPUT_DIRECTORY       pacemaker-VERSION.rng for every version
       generate.py plain SOURCE OUTPUT_FILE          one schema without versions

Each result is one self-contained grammar: a definition and everything that refers to it are left out of the versions
which do not have it. Understood is the part of the compact syntax that the sources use; anything else is an error that
names file and line.
"""
import os
import re
import sys
from xml.sax.saxutils import escape, quoteattr

VERSIONS = (["1.0", "1.1", "1.2", "1.3"] + ["2.%d" % i for i in range(11)] + ["3.%d" % i for i in range(11)] + ["4.0"])
# 1.1 was never a schema of its own; CIBs that name it are read as 1.2.
PUBLISHED = [v for v in VERSIONS if v != "1.1"]

TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<string>"[^"\n]*")|(?P<name>[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)
                       |(?P<sign>[=\[\]{}(),|&?*+-])""", re.X)


class Problem(Exception):
    pass


def number(version):
    return tuple(int(part) for part in version.split("."))


class Node:
    """A pattern: kind, its name or text, its inner patterns, and the versions that have it."""

    def __init__(self, kind, text=None, inner=(), first=None, end=None):
        self.kind, self.text, self.inner, self.first, self.end = kind, text, list(inner), first, end
        self.refused = []  # names that an element or attribute of any other name doesn't have


class Reader:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as stream:
            self.source = stream.read()
        self.tokens = []
        at = 0
        while at < len(self.source):
            match = TOKEN.match(self.source, at)
            if match is None:
                raise Problem("%s:%d: cannot read %r" % (path, self.line(at), self.source[at:at + 12]))
            if match.lastgroup:
                self.tokens.append((match.lastgroup, match.group(), at))
            at = match.end()
        self.tokens.append(("end", "end of file", at))
        self.next = 0

    def line(self, offset):
        return self.source.count("\n", 0, offset) + 1

    def fail(self, expected):
        _, text, at = self.tokens[self.next]
        raise Problem("%s:%d: %s expected, not %s" % (self.path, self.line(at), expected, text))

    def peek(self, text=None, ahead=0):
        token = self.tokens[min(self.next + ahead, len(self.tokens) - 1)]
        return token[1] == text if text is not None else token

    def take(self, text=None, kind=None):
        token = self.tokens[self.next]
        if (text is not None and token[1] != text) or (kind is not None and token[0] != kind):
            self.fail(text or kind)
        self.next += 1
        return token[1]

    def document(self):
        """[(name, Node)] in order; a name may come again for other versions."""
        found = []
        while self.peek()[0] != "end":
            if self.peek("namespace") or self.peek("datatypes"):
                self.next += 2
                self.take("=")
                self.take(kind="string")
                continue
            first, end = self.versions()
            name = self.take(kind="name")
            self.take("=")
            found.append((name, Node("define", name, [self.pattern()], first, end)))
        return found

    def versions(self):
        first = end = None
        while self.peek("["):
            self.take("[")
            which = self.take(kind="name")
            self.take("=")
            value = self.take(kind="string")[1:-1]
            self.take("]")
            if value not in VERSIONS or which not in ("v:from", "v:before"):
                self.fail("[v:from=\"VERSION\"] or [v:before=\"VERSION\"] before this")
            if which == "v:from":
                first = value
            else:
                end = value
        return first, end

    def pattern(self):
        items = [self.particle()]
        signs = {",": "group", "|": "choice", "&": "interleave"}
        sign = self.peek()[1]
        if sign not in signs:
            return items[0]
        while self.peek(sign):
            self.take(sign)
            items.append(self.particle())
        if self.peek()[1] in signs:
            self.fail("only one of , | & between a pair of parentheses; another separator")
        return Node(signs[sign], None, items)

    def particle(self):
        first, end = self.versions()
        node = self.primary()
        repeats = {"?": "optional", "*": "zeroOrMore", "+": "oneOrMore"}
        if self.peek()[1] in repeats:
            node = Node(repeats[self.take()], None, [node])
        if first or end:
            node = Node("group", None, [node], first, end)
        return node

    def primary(self):
        kind, text, _ = self.peek()
        if text == "(":
            self.take()
            node = self.pattern()
            self.take(")")
            return node
        if kind == "string":
            return Node("value", self.take()[1:-1])
        if kind != "name":
            self.fail("a pattern")
        if text in ("element", "attribute") and (self.peek("{", 2) or (self.peek("*", 1) and self.peek("-", 2))):
            self.take()
            name = self.take()
            refused = []
            if self.peek("-"):  # any name but these
                self.take("-")
                self.take("(")
                refused.append(self.take(kind="name"))
                while self.peek("|"):
                    self.take("|")
                    refused.append(self.take(kind="name"))
                self.take(")")
            self.take("{")
            node = Node(text, name, [self.pattern()])
            node.refused = refused
            self.take("}")
            return node
        self.take()
        if text in ("text", "empty"):
            return Node(text)
        if text.startswith("xsd:"):
            node = Node("data", text[4:])
            if self.peek("{"):
                self.take()
                while not self.peek("}"):
                    name = self.take(kind="name")
                    self.take("=")
                    node.inner.append(Node("param", (name, self.take(kind="string")[1:-1])))
                self.take("}")
            if self.peek("-"):
                self.take()
                node.inner.append(Node("except", None, [self.primary()]))
            return node
        return Node("ref", text)


class Grammar:
    """The definitions of one version."""

    def __init__(self, definitions, version, path):
        self.version = number(version) if version else None
        self.path = path
        self.defines = {}
        for name, node in definitions:
            if not self.has(node):
                continue
            if name in self.defines:
                raise Problem("%s: %s is defined twice for version %s" % (path, name, version))
            self.defines[name] = node
        self.known = {name for name, _ in definitions}

    def has(self, node):
        return self.version is None or not (
            (node.first and self.version < number(node.first)) or (node.end and self.version >= number(node.end)))

    def select(self, node):
        """The pattern as this version has it, or None."""
        if not self.has(node):
            return None
        if node.kind == "ref":
            if node.text == "SCHEMA_NAMES":
                return Node("choice", None, [Node("value", "pacemaker-" + v) for v in PUBLISHED])
            if node.text not in self.known:
                raise Problem("%s: %s is referred to but not defined" % (self.path, node.text))
            if node.text not in self.defines:
                return None
            return Node("ref", node.text)
        inner = [chosen for chosen in map(self.select, node.inner) if chosen is not None]
        if node.inner and not inner and node.kind not in ("element", "attribute", "data"):
            return None
        if node.kind in ("group", "choice", "interleave") and len(inner) == 1:
            return inner[0]
        if node.kind in ("group", "choice", "interleave"):
            flat = []
            for one in inner:
                flat += one.inner if one.kind == node.kind else [one]
            inner = flat
        made = Node(node.kind, node.text, inner)
        made.refused = node.refused
        return made

    def inline(self, node):
        """References replaced by what they name: an <except> may hold values only."""
        if node.kind == "ref":
            return self.inline(self.select(self.defines[node.text].inner[0]))
        flat = []
        for one in map(self.inline, node.inner):
            flat += one.inner if one.kind == "choice" and node.kind in ("choice", "except") else [one]
        return Node(node.kind, node.text, flat)

    def write(self):
        """The grammar as text: 'start' first, then definitions in the order of their first use."""
        queue, seen, parts = ["start"], {"start"}, []

        def put(node, depth, lines):
            pad = "  " * depth
            if node.kind == "ref" and node.text not in seen:
                seen.add(node.text)
                queue.append(node.text)
            if node.kind in ("text", "empty"):
                lines.append("%s<%s/>" % (pad, node.kind))
            elif node.kind == "ref":
                lines.append("%s<ref name=%s/>" % (pad, quoteattr(node.text)))
            elif node.kind == "value":
                lines.append("%s<value>%s</value>" % (pad, escape(node.text)))
            elif node.kind == "param":
                lines.append("%s<param name=%s>%s</param>" % (pad, quoteattr(node.text[0]), escape(node.text[1])))
            elif node.kind == "data" and not node.inner:
                lines.append("%s<data type=%s/>" % (pad, quoteattr(node.text)))
            elif node.kind in ("element", "attribute") and node.text == "*":
                lines.append("%s<%s>" % (pad, node.kind))
                if node.refused:
                    lines.append("%s  <anyName><except>%s</except></anyName>"
                                 % (pad, "".join("<name>%s</name>" % escape(name) for name in node.refused)))
                else:
                    lines.append("%s  <anyName/>" % pad)
                for one in node.inner:
                    put(one, depth + 1, lines)
                lines.append("%s</%s>" % (pad, node.kind))
            elif node.kind == "attribute" and len(node.inner) == 1 and node.inner[0].kind in ("text", "data", "ref") \
                    and not node.inner[0].inner:
                inside = []
                put(node.inner[0], 0, inside)
                lines.append("%s<attribute name=%s>%s</attribute>" % (pad, quoteattr(node.text), inside[0]))
            else:
                if node.kind == "except":
                    node = self.inline(node)
                name = {"element": "name", "attribute": "name", "data": "type"}.get(node.kind)
                head = " %s=%s" % (name, quoteattr(node.text)) if name else ""
                lines.append("%s<%s%s>" % (pad, node.kind, head))
                inner = node.inner
                if node.kind in ("element", "attribute") and not inner:
                    inner = [Node("empty")]
                elif node.kind == "element" and len(inner) == 1 and inner[0].kind == "group":
                    inner = inner[0].inner  # an element's patterns are a group anyway
                for one in inner:
                    put(one, depth + 1, lines)
                lines.append("%s</%s>" % (pad, node.kind))

        while queue:
            name = queue.pop(0)
            chosen = self.select(self.defines[name].inner[0])
            lines = []
            if chosen is None:
                chosen = Node("empty")  # a definition of optional parts none of which this version has
            put(chosen, 2, lines)
            tag = "start" if name == "start" else "define"
            head = "<start>" if name == "start" else "<define name=%s>" % quoteattr(name)
            parts.append("\n".join(["  " + head] + lines + ["  </%s>" % tag]))
        return ('<?xml version="1.0" encoding="UTF-8"?>\n<!-- Generated from %s; change that. -->\n'
                '<grammar xmlns="http://relaxng.org/ns/structure/1.0"\n'
                '         datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">\n%s\n</grammar>\n'
                % (os.path.basename(self.path), "\n".join(parts)))


def put_file(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("cib", "plain"):
        sys.exit(__doc__.split("\n\n")[1])
    definitions = Reader(sys.argv[2]).document()
    if sys.argv[1] == "plain":
        put_file(sys.argv[3], Grammar(definitions, None, sys.argv[2]).write())
        return
    os.makedirs(sys.argv[3], exist_ok=True)
    for version in PUBLISHED:
        put_file(os.path.join(sys.argv[3], "pacemaker-%s.rng" % version),
                 Grammar(definitions, version, sys.argv[2]).write())


if __name__ == "__main__":
    try:
        main()
    except (Problem, OSError) as problem:
        sys.exit("generate.py: %s" % problem)
