#!/usr/bin/env python3
"""pcs and crmsh above our own commands on a cluster of ours: does all of it work as above Pacemaker's?

usage: shells.py --build BUILD [--show]      --show: print every answer, not only the wrong ones

What is done and what must come of it: shells.txt. Exit status 77: no lab can be had here; the line SKIP says why.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
import reference_lab as rl  # noqa: E402


def read_steps(text):
    """[(exit status, command, what its output must have or None)]"""
    steps = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        word, rest = line.split(" ", 1)
        if word == "~":
            steps[-1] = (*steps[-1][:2], rest)
        else:
            steps.append((int(word), rest, None))
    return steps


def run(name, *words):
    return subprocess.run([rl.reference() / "cluster", *words], env=dict(os.environ, REFLAB=name), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)


def main():
    given = argparse.ArgumentParser(usage=__doc__)
    given.add_argument("--build", type=pathlib.Path, required=True)
    given.add_argument("--show", action="store_true")
    options = given.parse_args()
    try:
        rl.check_machine()
        for shell in ("pcs", "crm"):
            if not shutil.which(shell, path="/usr/sbin:/usr/bin"):
                raise rl.Missing(f"{shell} is not installed (scripts/install-packages lab)")
    except rl.Missing as missing:
        print(f"SKIP: {missing}")
        return 77
    build = options.build.resolve()
    name = os.environ.get("REFLAB") or rl.name_for(build)
    folder = pathlib.Path("/var/tmp") / f"systole-lab-{name}-c"
    stack = rl.stage(build, folder, commands="own")
    good = bad = 0
    try:
        up = run(name, "up", "3", "--stack", stack)
        if up.returncode != 0:
            raise SystemExit(f"the lab does not come up: {up.stdout}")
        for status, command, wanted in read_steps((HERE / "shells.txt").read_text()):
            done = run(name, "exec", "n1", "sh", "-c", command)
            right = done.returncode == status and (wanted is None or re.search(wanted, done.stdout, re.M)) and "Traceback" not in done.stdout
            good, bad = good + bool(right), bad + (not right)
            print(f"{'ok' if right else 'not ok'} - {command}", flush=True)
            if not right:
                print(f"#   exit status {done.returncode}, wanted {status}{f' and {wanted!r}' if wanted else ''}")
            if options.show or not right:
                print("".join(f"#   {line}\n" for line in done.stdout.splitlines()), end="")
    finally:
        run(name, "down")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


sys.exit(main())
