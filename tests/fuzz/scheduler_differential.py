#!/usr/bin/env python3
"""Random clusters, planned by the installed crm_simulate and by our own: both must decide alike.

Each seed makes a configuration (random_cluster.py) and lets the reference play some rounds of random events and changes on
it, so that it has a history; after each round both programs plan from the same file, and graph, scores and report
are compared. A difference is shrunk to the smallest CIB that shows it and saved to --keep. Skipped (status 77) where
there is no reference.

A 3.x reference must agree to the byte. An older one (2.1.5 is the oldest that reads these configurations) is known to
decide differently in places: what `LEGACY` says about it is left out of clusters and comparison.
"""
import argparse
import concurrent.futures
import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

import random_cluster
import rich_cluster

EPOCH = 1700000000
VOLATILE = re.compile(r'\b(?:crm_feature_set="[^"]*"|batch-limit="[0-9]*")')

# What 3.x decides otherwise than 2.1 on purpose, by feature of random_cluster.py. Only 3.x is the measure there.
LEGACY = {
    "features": {
        "colocations": "until 2.1.6 a finite preference could take away the one node that a mandatory colocation left",
        "old-names": "crm_simulate 2.1 has no names of 3.0",
        "locks": "3.0 keeps locks of remote connections' resources",
        "utilization": "2.1 prints and orders other assignments where capacities are equal",
        "sets": "3.0 reads ordering within sets of colocations anew",
        "bundles": "parameters of containers and their digests changed in 2.1.6 and 3.0",
        "guests": "the connection's parameters and the ordering of its probes changed in 2.1.6",
        "unfencing": "2.1.6 changed when nodes are unfenced",
        "multiple-active": "stop_unexpected was reworked in 2.1.6",
        "op-rules": "rules with rsc_expression and op_expression were reworked in 3.0",
        "exclusive": "resource-discovery of clones' instances was reworked in 2.1.6",
        "on-fail": "on-fail of demote and of remote connections was reworked in 2.1.6 and 3.0",
        "health": "allow-unhealthy-nodes and attributes' names changed",
        "remotes": "fencing of remote nodes whose connection is lost changed in 2.1.6",
        "promotable": "colocation with promoted roles was reworked in 2.1.6 and 2.1.7",
        "notify": "parameters of notifications changed in 3.0",
        "tickets": "roles and their loss-policy changed in 2.1.6",
        "no-quorum": "names of policies changed, suicide became fence in 3.0",
    },
}


class Tool:
    def __init__(self, path, env=None):
        self.path = path
        self.env = dict(os.environ, **(env or {}))
        self.env.pop("CIB_file", None)

    def run(self, arguments, **kw):
        try:
            return subprocess.run([self.path] + arguments, env=self.env, capture_output=True, text=True, timeout=60, **kw)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, 124, "", "timed out")

    def plan(self, cib, folder, name, now, summary):
        """The artefacts of one plan: graph, scores and report; and the exit status."""
        graph, dot = f"{folder}/{name}.exp", f"{folder}/{name}.dot"
        for path in (graph, dot):
            if os.path.exists(path):
                os.unlink(path)
        scores = self.run(["-x", cib, "-t", now, "-D", dot, "-G", graph, "-sSQ"])
        report = self.run(["-x", cib, "-t", now, "-S"]) if summary else scores
        read = lambda path: open(path).read() if os.path.exists(path) else ""
        return {"status": str(scores.returncode), "exp": VOLATILE.sub("", read(graph)),
                "dot": "\n".join(sorted(set(read(dot).splitlines()))),
                "scores": "\n".join(sorted(scores.stdout.splitlines())), "summary": report.stdout}


def legacy_view(plan):
    """Of a plan what an older reference can be held to: which actions are run where."""
    actions = set()
    if plan["exp"]:
        for element in ET.fromstring(plan["exp"]).iter():
            if element.tag in ("rsc_op", "crm_event"):
                actions.add(f"{element.get('operation_key')} on {element.get('on_node')}")
    return {"status": plan["status"], "actions": "\n".join(sorted(actions))}


class Fuzzer:
    def __init__(self, options):
        self.o = options
        self.reference = Tool(options.reference)
        self.ours = Tool(options.simulate)
        version = self.reference.run(["--version"]).stdout
        self.legacy = not re.search(r"Pacemaker [3-9]\.|Pacemaker [1-9][0-9]\.", version)

    # --- comparing ---
    def plans(self, cib, folder, now):
        one = self.reference.plan(cib, folder, "reference", now, not self.legacy)
        two = self.ours.plan(cib, folder, "ours", now, not self.legacy)
        return (legacy_view(one), legacy_view(two)) if self.legacy else (one, two)

    def differences(self, cib, folder, now):
        one, two = self.plans(cib, folder, now)
        if int(one["status"]) < 0 or int(one["status"]) >= 124:
            # The reference aborts on some inputs; then we only have to end in an orderly way.
            return [] if 0 <= int(two["status"]) < 124 else ["status"]
        return [name for name in one if one[name] != two[name]]

    # --- histories ---
    def change(self, rng, tree, cluster):
        """Something that an administrator or an agent does between two plans."""
        status, configuration = tree.find("status"), tree.find("configuration")
        states = list(status)
        what = rng.randrange(10)
        operations = list(status.iter("lrm_rsc_op"))
        if what in (0, 1) and states:
            state = rng.choice(states)
            promotable = [p for p, yes in cluster.primitives if yes]
            names = [("rack", ("1", "2", "y"))] + [(f"master-{p}", ("1", "5", "10", "-1", "INFINITY")) for p in promotable] * 2
            if rng.random() < 0.2:
                names = [("shutdown", (str(EPOCH),)), ("#health-cpu", ("red", "green"))]
            name, values = rng.choice(names)
            random_cluster.set_transient(state, name, name.strip("#"), rng.choice(values))
        elif what == 2:
            nodes = configuration.findall("nodes/node")
            node = rng.choice(nodes)
            block = node.find("instance_attributes")
            if block is None:
                block = ET.Element("instance_attributes", id=f"nodes-{node.get('id')}")
                node.insert(0, block)
            for pair in block.findall("nvpair[@name='standby']"):
                block.remove(pair)
            ET.SubElement(block, "nvpair", id=f"{block.get('id', node.get('id'))}-standby", name="standby", value=rng.choice(["on", "off"]))
        elif what == 3:
            blocks = [b for b in configuration.find("resources").iter("meta_attributes")]
            if blocks:
                block = rng.choice(blocks)
                name = rng.choice(["target-role", "is-managed", "resource-stickiness"])
                for pair in block.findall(f"nvpair[@name='{name}']"):
                    block.remove(pair)
                value = {"target-role": ["Stopped", "Started"], "is-managed": ["true", "false"],
                         "resource-stickiness": ["0", "100"]}[name]
                ET.SubElement(block, "nvpair", id=f"{block.get('id')}-{name}", name=name, value=rng.choice(value))
        elif what == 4:
            for block in list(configuration.find("resources").iter("instance_attributes"))[:1]:
                for pair in block.findall("nvpair[@name='fake']"):
                    pair.set("value", "changed")
        elif what == 5 and operations:
            op = rng.choice(operations)
            op.set("op-status", "-1")
            op.set("rc-code", "193")
            op.set("call-id", "-1")
            key = op.get("transition-key", "1:1:0:x")
            op.set("transition-magic", f"-1:193;{key}")
        elif what == 6 and operations:
            parents = [h for h in status.iter("lrm_resource") if len(h)]
            history = rng.choice(parents)
            history.remove(rng.choice(list(history)))
        elif what == 7 and states and rng.random() < 0.5:
            state = rng.choice(states)
            state.set("in_ccm", "false")
            state.set("crmd", "offline")
            if rng.random() < 0.5:
                state.set("join", "down")
                state.set("expected", "down")
        elif what == 8 and rng.random() < 0.5:
            resources = configuration.find("resources")
            tops = [e for e in resources if e.tag in ("primitive", "group", "clone")]
            if len(tops) > 1:  # what remains in the history is removed, in the field's words orphaned
                victim = rng.choice(tops)
                gone = {e.get("id") for e in victim.iter()}
                resources.remove(victim)
                self.forget(configuration, gone)

    def forget(self, configuration, gone):
        """Takes out what refers to something that is not there any more."""
        for parent in list(configuration.iter()):
            for child in list(parent):
                named = [child.get(a) for a in ("rsc", "with-rsc", "first", "then")]
                reference = child.tag in ("resource_ref", "obj_ref") and child.get("id") in gone
                if reference or any(n in gone for n in named if n):
                    parent.remove(child)
        for parent in list(configuration.iter()):
            for child in list(parent):
                if child.tag in ("resource_set", "tag") and len(child) == 0:
                    parent.remove(child)
        for parent in list(configuration.iter()):
            for child in list(parent):
                if (child.tag in ("rsc_colocation", "rsc_order", "rsc_ticket") and len(child) == 0 and
                        not child.get("rsc") and not child.get("first")):
                    parent.remove(child)

    def settle_times(self, tree):
        """Results get the same time on each run of a seed."""
        for op in tree.iter("lrm_rsc_op"):
            if op.get("last-rc-change"):
                op.set("last-rc-change", str(EPOCH))
        for pair in tree.iter("nvpair"):
            if pair.get("name", "").startswith("last-failure-"):
                pair.set("value", str(EPOCH))

    def one(self, seed):
        """Plays one seed; the differences that it found, as (round, cib text, artefacts, now)."""
        kind = rich_cluster.Cluster if self.o.rich else random_cluster.Cluster
        cluster = kind(seed, self.o.size)
        if self.legacy:
            cluster.features -= set(LEGACY["features"])
        rng = random.Random(seed + 1)
        text = cluster.cib()
        found = []
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/cib.xml"
            for number in range(self.o.rounds):
                with open(path, "w") as file:
                    file.write(text)
                now = f"@{EPOCH}" if False else iso(EPOCH + rng.choice([1, 30, 700, 7300]))
                what = self.differences(path, folder, now)
                if what:
                    found.append((number, text, what, now))
                    break
                played = f"{folder}/next.xml"
                if os.path.exists(played):
                    os.unlink(played)
                event = cluster.event() if number else []
                result = self.reference.run(["-x", path, "-t", now, "-S", "-Q", "-O", played] + event)
                if not os.path.exists(played):
                    if result.returncode < 0:
                        break
                    continue
                tree = ET.parse(played).getroot()
                tree.attrib.pop("execution-date", None)
                for _ in range(rng.randrange(3)):
                    self.change(rng, tree, cluster)
                for _ in range(rng.choice([0, 0, 1, 2, 4]) if self.o.rich and "history" in cluster.features else 0):
                    rich_cluster.wear(rng, tree, cluster)
                self.settle_times(tree)
                text = ET.tostring(tree, encoding="unicode")
        return seed, found

    # --- shrinking ---
    def shrink(self, text, now, what):
        """Takes elements (and options) away as long as the same artefacts differ."""
        wanted = set(what)
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/cib.xml"

            def still(tree):
                with open(path, "w") as file:
                    file.write(ET.tostring(tree, encoding="unicode"))
                what = set(self.differences(path, folder, now))
                # An invalid configuration differs in its own way: it is not what we look for.
                return bool(wanted & what) and ("status" in what) == ("status" in wanted)

            tree = ET.fromstring(text)
            changed = True
            while changed:
                changed = False
                for parent_path in [p for p in self.places(tree)]:
                    parent, child = self.at(tree, parent_path)
                    if child is None:
                        continue
                    attempt = copy.deepcopy(tree)
                    parent, child = self.at(attempt, parent_path)
                    parent.remove(child)
                    gone = {e.get("id") for e in child.iter() if e.get("id")}
                    if child.tag in ("primitive", "group", "clone", "bundle", "template"):
                        self.forget(attempt.find("configuration"), gone)
                    if still(attempt):
                        tree = attempt
                        changed = True
            ET.indent(tree)
            return ET.tostring(tree, encoding="unicode")

    @staticmethod
    def places(tree):
        """Paths (child numbers) of what may go, big things first, the last of siblings first."""
        found = []

        def walk(element, path):
            for number, child in enumerate(element):
                found.append((len(list(child.iter())), path + [number]))
                walk(child, path + [number])

        for number, section in enumerate(tree):
            if section.tag == "configuration":
                for n, part in enumerate(section):
                    walk(part, [number, n])
                    if part.tag in ("rsc_defaults", "op_defaults", "tags"):
                        found.append((99, [number, n]))
            else:
                walk(section, [number])
        found.sort(key=lambda entry: (-entry[0], [-n for n in entry[1]]))
        return [path for _, path in found]

    @staticmethod
    def at(tree, path):
        parent, child = None, tree
        for number in path:
            if number >= len(child):
                return None, None
            parent, child = child, child[number]
        return parent, child

    def show(self, text, now):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/cib.xml"
            with open(path, "w") as file:
                file.write(text)
            import difflib
            one, two = self.plans(path, folder, now)
            lines = []
            for name in one:
                if one[name] != two[name]:
                    diff = list(difflib.unified_diff(one[name].splitlines(), two[name].splitlines(),
                                                     f"reference {name}", f"ours {name}", lineterm="", n=1))
                    lines += diff[:40]
            return "\n".join(lines)


def iso(epoch):
    import datetime
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulate", required=True, help="our crm_simulate")
    parser.add_argument("--reference", default="/usr/sbin/crm_simulate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--rich", action="store_true", help="more of the language and stranger histories (rich_cluster.py)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="folder for what differs")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--stop-after", type=int, default=0)
    options = parser.parse_args()
    if not shutil.which(options.reference):
        print(f"no reference {options.reference}: skipped")
        return 77
    fuzzer = Fuzzer(options)
    if os.path.realpath(options.reference) == os.path.realpath(options.simulate):
        print("the reference is our own: skipped")
        return 77
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for seed, found in pool.map(fuzzer.one, range(options.seed, options.seed + options.count)):
            for number, text, what, now in found:
                bad += 1
                print(f"seed {seed} round {number} at {now}: {', '.join(what)} differ", flush=True)
                if not options.no_shrink:
                    text = fuzzer.shrink(text, now, what)
                if options.keep:
                    os.makedirs(options.keep, exist_ok=True)
                    with open(f"{options.keep}/{seed}.xml", "w") as file:
                        file.write(text)
                    with open(f"{options.keep}/{seed}.diff", "w") as file:
                        file.write(f"{now}\n{fuzzer.show(text, now)}\n")
                else:
                    print(fuzzer.show(text, now))
            if options.stop_after and bad >= options.stop_after:
                break
    print(f"{options.count} seeds, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
