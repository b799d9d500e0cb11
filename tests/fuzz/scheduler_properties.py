#!/usr/bin/env python3
"""What must be true of plans for random clusters, whatever a reference thinks (ids of the project's reliability contract).

  I10  the same input gives the same bytes, however often (--runs), from another compiler's build (--other), and with
       siblings shuffled whose order has no meaning
  I9   a plan that was carried out leaves nothing to do: planning again ends in an empty plan, within a few rounds
  L5   no two plans undo each other: rounds never come back to a status seen before while actions remain
  I6   nothing in a graph waits for itself, however long the chain
  I1   no plan makes a primitive outside of clones active on more nodes than one
"""
import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

import random_cluster

NOW = "2023-11-14 22:13:20Z"
ROUNDS = 8


class Checker:
    def __init__(self, program, other=None, runs=2):
        self.program, self.other, self.runs = program, other, runs
        self.problems = []

    def simulate(self, cib, folder, run, program=None):
        graph, after = f"{folder}/graph-{run}.xml", f"{folder}/after-{run}.xml"
        for path in (graph, after):
            if os.path.exists(path):
                os.unlink(path)
        result = subprocess.run([program or self.program, "-x", cib, "-t", NOW, "-S", "-s", "-G", graph, "-O", after],
                                capture_output=True, text=True, timeout=120)
        if result.returncode < 0 or result.returncode >= 124:
            self.problems.append(f"ended with {result.returncode}: {result.stderr[-200:]}")
        text = open(graph).read() if os.path.exists(graph) else ""
        return result, text, after

    def circle(self, graph):
        """Does an action wait for itself?"""
        waits = {}
        for synapse in ET.fromstring(graph).iter("synapse"):
            ids = [a.get("id") for s in synapse.findall("action_set") for a in s]
            waits[ids[0]] = [a.get("id") for t in synapse.iter("trigger") for a in t]
        state = {}
        for start in waits:
            stack = [(start, iter(waits[start]))]
            if state.get(start) == 2:
                continue
            state[start] = 1
            while stack:
                node, inputs = stack[-1]
                for other in inputs:
                    if state.get(other) == 1:
                        return other
                    if other in waits and other not in state:
                        state[other] = 1
                        stack.append((other, iter(waits[other])))
                        break
                else:
                    state[node] = 2
                    stack.pop()
        return None

    def actions(self, graph):
        found = []
        if graph:
            for element in ET.fromstring(graph).iter("action_set"):
                for action in element:
                    # What is repeated for ever by its nature (a probe that found nothing it could know) isn't counted.
                    if action.tag == "rsc_op" or action.get("operation") == "stonith":
                        found.append(f"{action.get('operation_key')} on {action.get('on_node')}")
        return found

    def seed(self, seed):
        cluster = random_cluster.Cluster(seed)
        # Fencing that can't succeed, tickets that are not there and the like have no end by design.
        cluster.features -= {"fencing-trouble", "no-quorum", "unfencing"}
        text = cluster.cib()
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/cib.xml"
            open(path, "w").write(text)
            first, graph, after = self.simulate(path, folder, 0)
            for number in range(1, self.runs):
                again, graph2, _ = self.simulate(path, folder, number)
                if (first.stdout, graph) != (again.stdout, graph2):
                    self.problems.append("I10: two runs differ")
            if self.other:
                again, graph2, _ = self.simulate(path, folder, "other", self.other)
                if (first.stdout, graph) != (again.stdout, graph2):
                    self.problems.append("I10: the other build's plan differs")
            self.shuffled(text, graph, folder)
            if graph and first.returncode == 0:
                circle = self.circle(graph)
                if circle:
                    self.problems.append(f"I6: action {circle} waits for itself")
            self.settle(path, after, folder)
        return self.problems

    def shuffled(self, text, graph, folder):
        """Attributes in another order mean the same, and so do nvpairs within a set."""
        tree = ET.fromstring(text)
        rng = random.Random(7)
        for element in tree.iter():
            attributes = list(element.attrib.items())
            rng.shuffle(attributes)
            element.attrib.clear()
            element.attrib.update(attributes)
            if element.tag in ("instance_attributes", "meta_attributes", "cluster_property_set", "utilization") and not any(
                    child.tag == "rule" for child in element):
                children = list(element)
                rng.shuffle(children)
                element[:] = children
        path = f"{folder}/shuffled.xml"
        open(path, "w").write(ET.tostring(tree, encoding="unicode"))
        _, other, _ = self.simulate(path, folder, "shuffled")
        if other != graph:
            self.problems.append("I10: shuffled siblings change the plan")

    def active_twice(self, path):
        """Primitives outside of clones and bundles that are active on more nodes than one."""
        result = subprocess.run([self.program, "-x", path, "-t", NOW, "--output-as=xml"], capture_output=True, text=True, timeout=120)
        found = set()
        status = ET.fromstring(result.stdout).find(".//cluster_status/resources")
        for place in [status] + status.findall("group"):
            for resource in place.findall("resource"):
                if int(resource.get("nodes_running_on")) > 1:
                    found.add(resource.get("id"))
        return found

    def settle(self, path, after, folder):
        seen = collections.Counter()
        twice = self.active_twice(path)
        for number in range(ROUNDS):
            result, graph, after = self.simulate(path, folder, "settle")
            actions = self.actions(graph)
            if not actions or result.returncode != 0:
                break
            seen[tuple(sorted(actions))] += 1
            if seen[tuple(sorted(actions))] > 3:
                self.problems.append(f"L5/I9: the same plan again and again: {', '.join(sorted(actions)[:4])}")
                break
            if not os.path.exists(after):
                break
            os.replace(after, path)
            now = self.active_twice(path)
            if now - twice:
                self.problems.append(f"I1: active on more nodes than one: {', '.join(sorted(now - twice))}")
                break
            twice = now
        else:
            self.problems.append(f"I9: still not at rest after {ROUNDS} rounds: {', '.join(sorted(actions)[:4])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulate", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--other", help="the same program, built by another compiler")
    parser.add_argument("--runs", type=int, default=2, help="of the same input (%(default)s)")
    options = parser.parse_args()
    bad = 0
    for seed in range(options.seed, options.seed + options.count):
        for problem in Checker(options.simulate, options.other, options.runs).seed(seed):
            bad += 1
            print(f"seed {seed}: {problem}", flush=True)
    print(f"{options.count} clusters, {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
