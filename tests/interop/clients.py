#!/usr/bin/env python3
"""Puts the same commands to our clients and to another implementation's on one running cluster, and prints what differs.

usage: clients.py --node "COMMAND ..." --reference PREFIX [--commands FILE] [--all]

--node       runs a command on a node of the cluster, say "sudo ip netns exec n1" or "ssh n1"; the cluster is changed: use a spare one
--reference  what stands before a command there to have it answered by the other implementation's client
--commands   the commands, one a line; '!' in front: only to prepare what follows; default: clients.txt beside this script
--all        also name what is the same

Each command is run with text and with XML output. What differs from run to run (times, process ids, UUIDs) is not compared.
By hand only: some differences are meant (we name what was wrong with the input), and a changing command finds what the
other one left behind. Exit status 1: there are differences.
"""
import argparse
import difflib
import pathlib
import re
import shlex
import subprocess
import sys

VOLATILE = [
    (r'request="[^"]*?/?(\w+)( |")', r'request="\1\2'),
    (r"\w{3} \w{3} +\d+ [\d:]{8} \d{4}", "TIME"),
    (r"\d{4}-\d\d-\d\d [\d:]+(\.\d+)?( ?[-+]\d\d:?\d\d|Z)?", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID"),
    (r"(stonith_admin|crm_\w+|cibadmin)\.\d+", r"\1.PID"),
]
SHOWN = 14  # lines of a difference


def run(node, command):
    """Exit status, output and errors of a shell command there, without what changes from run to run."""
    done = subprocess.run([*node, "sh", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=200)
    texts = [done.stdout, done.stderr]
    for pattern, stable in VOLATILE:
        texts = [re.sub(pattern, stable, text) for text in texts]
    return done.returncode, *texts


def compare(node, prefix, command):
    """The differences of a command's answers, as lines; none if they are the same."""
    ours, theirs = run(node, command), run(node, f"{prefix} {command}")
    lines = [] if ours[0] == theirs[0] else [f"exit status {ours[0]}, reference {theirs[0]}"]
    for index, stream in ((1, "output"), (2, "errors")):
        found = difflib.unified_diff(theirs[index].splitlines(), ours[index].splitlines(), f"reference's {stream}", "ours", lineterm="", n=0)
        lines += list(found)[:SHOWN]
    return lines


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("--node", required=True, type=shlex.split)
    options.add_argument("--reference", required=True)
    options.add_argument("--commands", type=pathlib.Path, default=pathlib.Path(__file__).with_name("clients.txt"))
    options.add_argument("--all", action="store_true")
    given = options.parse_args()
    differing = same = 0
    for line in given.commands.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("!"):
            run(given.node, line[1:])
            continue
        # cibadmin's XML output is its text.
        for form in [""] if line.startswith("cibadmin") else ["", " --output-as=xml"]:
            difference = compare(given.node, given.reference, line + form)
            differing, same = differing + bool(difference), same + (not difference)
            if difference or given.all:
                print(f"{'DIFFERS' if difference else 'same'}  {line}{form}")
            for text in difference:
                print(f"    {text}")
    print(f"{same} the same, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
