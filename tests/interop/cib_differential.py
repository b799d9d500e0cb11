#!/usr/bin/env python3
"""Random CIB operations, executed by the installed cibadmin on a file and by our own code: both must end alike.

Compared are the exit status, the resulting CIB byte for byte, and the answer of queries. Skipped (status 77) where
there is no cibadmin. A difference prints the case; --seed and --only repeat it.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.dom.minidom

SEP = "\x1f"
NAMES = ["primitive", "group", "op", "nvpair", "meta", "node", "rule"]
SECTIONS = ["resources", "constraints", "nodes", "crm_config", "status", "configuration", "rsc_defaults", "tags", ""]
OPTIONS = {"can_create": 8, "multiple": 4, "xpath": 2, "no_children": 0x20, "xpath_address": 0x40}


def attributes(rng, with_id=0.8):
    out = ""
    if rng.random() < with_id:
        out += f' id="{rng.choice("ABCDEF")}"'
    for name in rng.sample(["value", "name", "score", "type"], rng.randint(0, 3)):
        value = rng.choice(["1", "5", "x", "X", "INFINITY", "-3", f"{name}++", f"{name}+=3", "a&amp;b"])
        out += f' {name}="{value}"'
    return out


def element(rng, depth=0, name=None):
    name = name or rng.choice(NAMES)
    children = "".join(node(rng, depth + 1) for _ in range(rng.randint(0, 3 - depth))) if depth < 3 else ""
    return f"<{name}{attributes(rng)}>{children}</{name}>" if children else f"<{name}{attributes(rng)}/>"


def node(rng, depth):
    if rng.random() < 0.1:
        return f'<!--{rng.choice(["one", "ONE", "two"])}-->'
    return element(rng, depth)


def section(rng, name, count=4):
    content = "".join(node(rng, 1) for _ in range(rng.randint(0, count)))
    return f"<{name}>{content}</{name}>" if content else f"<{name}/>"


def plain(text):
    """Without score expressions: a CIB that has seen an operation has none left."""
    for name in ("value", "name", "score", "type"):
        text = text.replace(f'"{name}++"', '"2"').replace(f'"{name}+=3"', '"3"')
    return text


def cib(rng, version=None):
    version = version or (1, rng.randint(1, 9), rng.randint(0, 9))
    optional = [s for s in ("rsc_defaults", "tags") if rng.random() < 0.5]
    config = "".join(section(rng, s) for s in ["crm_config", "nodes", "resources", "constraints"] + optional)
    return plain(f'<cib crm_feature_set="3.16.1" validate-with="none" admin_epoch="{version[0]}" epoch="{version[1]}" '
                 f'num_updates="{version[2]}"><configuration>{config}</configuration>{section(rng, "status")}</cib>')


def xpath(rng):
    n, i = rng.choice(NAMES), rng.choice("ABCDEF")
    return rng.choice([f"//{n}", f"//{n}[@id='{i}']", f"//*[@id='{i}']", f"/cib/configuration/resources/{n}",
                       f"//resources//{n}[@id]", f"//{n}/@value", f"//{n}[@name='5' or @type]", f"//{n}[1]",
                       f"//{n}[@id='{i}']/..", "//configuration", "/cib", f"//{n}|//nodes", f"//{n}[not(@id)]",
                       f"//{n}[last()]", f"//{n}[contains(@value,'x')]", f"//{n}[", "//comment()"])


def with_acls(rng, text):
    """The CIB with ACLs for user "nobody"."""
    permissions = ""
    for i in range(rng.randint(0, 4)):
        kind = rng.choice(["read", "write", "write", "deny"])
        what = rng.choice([f'xpath="{xpath(rng)}"', f'reference="{rng.choice("ABCDEF")}"',
                           f'object-type="{rng.choice(NAMES)}"', 'object-type="primitive" attribute="value"',
                           'xpath="/cib"', 'xpath="//configuration"', 'xpath="//resources"'])
        if "[\"" not in what:
            permissions += f'<acl_permission id="perm-{i}" kind="{kind}" {what}/>'
    role = '<role id="R"/>' if rng.random() < 0.9 else ""
    acls = f'<acls><acl_target id="nobody">{role}</acl_target><acl_role id="R">{permissions}</acl_role></acls>'
    acls = acls.replace('"nobody"></acl_target>', '"nobody"/>').replace('"R"></acl_role>', '"R"/>')
    option = ('<cluster_property_set id="cib-bootstrap-options"><nvpair id="o" name="enable-acl" value="true"/>'
              '</cluster_property_set>')
    text = text.replace("<crm_config/>", "<crm_config></crm_config>").replace("<crm_config>", "<crm_config>" + option)
    return text.replace("</configuration>", acls + "</configuration>")


def case(rng):
    before = cib(rng)
    user = "nobody" if rng.random() < 0.35 else ""
    if user:
        before = with_acls(rng, before)
    op = rng.choice(["create", "modify", "modify", "modify", "delete", "delete", "replace", "replace", "query", "erase",
                     "bump", "patch"])
    where, options, data = "", 0, ""
    if op in ("create", "modify", "delete", "replace"):
        where = rng.choice(SECTIONS)
        data = element(rng, 1) if rng.random() < 0.6 or not where else section(rng, where, 3)
        if rng.random() < 0.3:  # something that exists, slightly changed
            pool = [e for e in walk(before) if e.startswith("<" + rng.choice(NAMES))]
            data = rng.choice(pool) if pool else data
            data = data.replace('value="1"', 'value="value++"', 1)
        # As a user: releases that don't count copies don't check the rights to them either, which we don't imitate.
        if op == "modify" and rng.random() < 0.5 and not user:
            options |= OPTIONS["can_create"]
        if op in ("modify", "delete", "replace") and rng.random() < 0.35:
            where, options = xpath(rng), options | OPTIONS["xpath"]
            if op == "delete" and rng.random() < 0.5:
                options |= OPTIONS["multiple"]
    if op == "replace" and rng.random() < 0.3:
        number = int(before.split(' epoch="')[1].split('"')[0])
        data, where, options = cib(rng, (1, number + rng.randint(-1, 1), 3)), "", 0
    if op == "query":
        if rng.random() < 0.6:
            where, options = xpath(rng), OPTIONS["xpath"] | rng.choice([0, 0x20, 0x40])
        else:
            where, options = rng.choice(SECTIONS), rng.choice([0, 0x20])
    if op == "patch":
        data = cib(rng)  # the target; made into a patch by crm_diff
        if rng.random() < 0.7:
            data = mutate(rng, before)
    if op == "replace" and ' id="' not in data.split(">")[0]:
        user = ""  # the same holds for replacing an element by one with another id
    return before, op, where, options, data, user


def mutate(rng, text):
    """A CIB like `text` with a few things moved, removed, added and changed."""
    import xml.etree.ElementTree as ET
    root = ET.fromstring(text, parser=ET.XMLParser(target=ET.TreeBuilder(insert_comments=True)))
    for _ in range(rng.randint(1, 4)):
        parents = [e for e in root.iter() if len(e) and e is not root]
        if not parents:
            break
        parent = rng.choice(parents)
        child = rng.choice(list(parent))
        what = rng.random()
        if what < 0.3:
            parent.remove(child)
        elif what < 0.6:
            parent.remove(child)
            parent.insert(rng.randint(0, len(parent)), child)
        elif what < 0.8:
            parent.insert(rng.randint(0, len(parent)), ET.fromstring(f'<nvpair id="N{rng.randint(0, 99)}"/>'))
        elif isinstance(child.tag, str):
            child.set("value", str(rng.randint(0, 9)))
    root.set("epoch", str(int(root.get("epoch")) + 1))
    return ET.tostring(root, encoding="unicode").replace(" />", "/>")


def has_twins(text):
    """Siblings that no path can tell apart: the reference compares such CIBs wrongly. No schema allows them."""
    def visit(n):
        seen = set()
        for c in n.childNodes:
            key = (c.nodeName, c.getAttribute("id")) if c.nodeType == c.ELEMENT_NODE else (c.nodeName, c.data)
            if key in seen or (c.nodeType == c.ELEMENT_NODE and visit(c)):
                return True
            seen.add(key)
        return False
    return visit(xml.dom.minidom.parseString(text).documentElement)


def walk(text):
    out = []

    def visit(n):
        for c in n.childNodes:
            if c.nodeType == c.ELEMENT_NODE:
                out.append(c.toxml())
                visit(c)
    visit(xml.dom.minidom.parseString(text))
    return out


def flat(text):
    """Pretty-printed output on one line. No value of ours holds a line break; 2.1.5 escapes apostrophes."""
    return "".join(line.strip() for line in text.splitlines()).replace("&apos;", "'")


def reference(before, op, where, options, data, user, folder):
    path = os.path.join(folder, "cib.xml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(before)
    flag = {"create": "-C", "modify": "-M", "delete": "-D", "replace": "-R", "query": "-Q", "erase": "-E",
            "bump": "-B", "patch": "-P"}[op]
    command = ["cibadmin", flag]
    if op == "erase":
        command.append("--force")
    if options & OPTIONS["xpath"]:
        command += ["-A", where]
    elif where:
        command += ["-o", where]
    if options & OPTIONS["multiple"]:
        command += ["--force", "-d"]
        command.remove(flag)
    if options & OPTIONS["can_create"]:
        command.append("--allow-create")
    if options & OPTIONS["no_children"]:
        command.append("--no-children")
    if options & OPTIONS["xpath_address"]:
        command.append("--node-path")
    if data:
        command += ["-X", data]
    if user:
        command += ["-U", user]
    env = dict(os.environ, CIB_file=path, PCMK_logfile="none")
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    with open(path, encoding="utf-8") as f:
        return done.returncode, flat(f.read()), flat(done.stdout), command


def difference(kind, ours, wanted):
    """Where two one-line documents part, with what surrounds it."""
    at = next((i for i, (a, b) in enumerate(zip(ours, wanted)) if a != b), min(len(ours), len(wanted)))
    begin = max(0, at - 60)
    return f"{kind} at {at}:\n     ours ...{ours[begin:at + 80]}\n     ref  ...{wanted[begin:at + 80]}"


def crm_diff(before, after, folder):
    names = []
    for name, text in (("old.xml", before), ("new.xml", after)):
        names.append(os.path.join(folder, name))
        with open(names[-1], "w", encoding="utf-8") as f:
            f.write(text)
    done = subprocess.run(["crm_diff", "-o", names[0], "-n", names[1]], capture_output=True, text=True)
    return flat(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    args = parser.parse_args()
    if not shutil.which("cibadmin") or not shutil.which("crm_diff"):
        print("skipped: cibadmin is not installed")
        return 77
    driver = subprocess.Popen([args.driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wrong = compared = 0
    kinds = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.cases):
            if args.only is not None and number != args.only:
                continue
            rng = random.Random(args.seed * 1000003 + number)
            before, op, where, options, data, user = case(rng)
            if op == "patch":
                if has_twins(before) or has_twins(data):
                    continue
                data = crm_diff(before, data, folder)
                if not data:
                    continue
            status, after, answer, command = reference(before, op, where, options, data, user, folder)
            if status < 0:
                continue  # the reference crashed
            name = "cib_apply_diff" if op == "patch" else "cib_" + op
            driver.stdin.write(SEP.join([before, name, where, str(options), data, user]) + "\n")
            driver.stdin.flush()
            ours = driver.stdout.readline().rstrip("\n").split(SEP)
            compared += 1
            kind = op + (" as user" if user else "")
            kinds[kind] = kinds.get(kind, 0) + 1
            problems = []
            if str(status) != ours[0]:
                problems.append(f"exit status {ours[0]}, expected {status}")
            if flat(after) != ours[1]:
                problems.append(difference("CIB", ours[1], flat(after)))
            if op == "query" and status == 0 and not options & OPTIONS["xpath_address"] and answer != ours[2]:
                problems.append(difference("answer", ours[2], answer))
            if len(ours) > 4 and ours[4] not in ("-", "same"):
                problems.append(f"our patchset {ours[4]}\n   {ours[3]}")
            if problems:
                wrong += 1
                print(f"case {number}: {' '.join(command)}\n  " + "\n  ".join(problems))
                if args.only is not None:
                    print(f"   CIB  {before}")
    driver.stdin.close()
    driver.wait()
    print(f"{compared} cases ({', '.join(f'{k} {v}' for k, v in sorted(kinds.items()))}), {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
