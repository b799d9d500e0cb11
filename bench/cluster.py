#!/usr/bin/env python3
"""Cluster benchmarks, on this build and on the reference in one run. Needs ../shared (or SYSTOLE_SHARED) and root.

usage: cluster.py run   --build BUILD --out FOLDER [--reps N] [--only reference|systole] [BENCH...]
       cluster.py table FOLDER                     the measured figures side by side, as Markdown

BENCH: startup recover startmany memory attrd move tools ... (those of ../shared/reference/bench/run.py), and

  share    what a failover costs besides Corosync's detection and the power switch: the time from Corosync's new membership to
           the order to the switch, and from the switch's answer to the resource running elsewhere. With and without the DC.
  writes   CIB writes a second by clients that stay connected: one and eight, long enough that their start does not count,
           with what each process costs; and what Corosync alone does in this lab with such messages.
  many     300 and 1,000 Dummy resources from nothing to running, and the memory of the manager's processes then.

Without a name: startup share recover writes cib many. BUILD should be the release preset's. Each bench runs on one
stack and then on the other, so that a busy machine spoils both alike.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "lab"))
import reference_lab as rl  # noqa: E402

DEFAULT = ["startup", "share", "recover", "writes", "cib", "many"]
STACKS = ("reference", "systole")
SETTLE_S = 2.0


def median(values):
    return statistics.median(values) if values else None


# ---- Failover, split -----------------------------------------------------------------------------------------------------


def membership_at(lab, nodes, since):
    """When the last of the survivors had its new membership, by their Corosync's log."""
    import logparse
    found = []
    for node in nodes:
        times = [logparse.stamp(line) for line in lab.log(node, "corosync") if "A new membership" in line]
        times = [t for t in times if t and t > since]
        if times:
            found.append(times[0])
    return max(found) if len(found) == len(nodes) else None


def state_file(lab, node):
    return pathlib.Path(lab.state_file(node, "p", "Probe"))


def bench_share(lab, reps):
    samples = []
    lab.up(3, "--token", "1000", "--boot-delay", "3")
    lab.cib_modify("n1", "<resources>" + rl.primitive("p", "ocf:lab:Probe", operations=[rl.op("p", "monitor", "10s")])
                   + "</resources>")
    lab.run("n1", "crm_attribute", "-t", "rsc_defaults", "-n", "resource-stickiness", "-v", "100")
    for turn in range(2 * reps):
        with_dc = turn % 2 == 1
        rl.until("all are online", lambda: set(rl.NODES) <= set(lab.online("n1")), 120)
        lab.wait_idle("n1")
        dc = lab.dc("n1")
        victim = dc if with_dc else random.choice([n for n in rl.NODES if n != dc])
        if lab.where("n1", "p") != [victim]:
            lab.run("n1", "crm_resource", "--move", "-r", "p", "--node", victim)
            lab.wait_idle("n1")
            rl.until(f"p runs on {victim}", lambda: lab.where("n1", "p") == [victim], 60)
        lab.run("n1", "crm_resource", "--clear", "-r", "p", check=False)
        lab.wait_idle("n1")
        time.sleep(SETTLE_S)
        mark = len(lab.events())
        rl.cluster("crash", victim)
        rest = [n for n in rl.NODES if n != victim]

        def started():
            return [at for at, w in lab.events()[mark:] if w[1:4] == ["end", "start", "p"] and w[4] == "0"]
        active = rl.until("p runs elsewhere", started, 120, 0.01)[0]
        events = lab.events()[mark:]
        cut = next(at for at, w in events if w[:3] == ["node", victim, "cut"])
        request = next(at for at, w in events if w[:2] == ["power", "request"] and w[-1] == victim)
        done = next(at for at, w in events if w[:2] == ["power", "done"] and w[-1] == victim)
        view = membership_at(lab, rest, cut)
        samples.append({"with_dc": with_dc, "total_s": active - cut, "corosync_s": view and view - cut,
                        "switch_s": done - request, "own_s": view and (request - view) + (active - done)})
        print("   ", {k: round(v, 3) if isinstance(v, float) else v for k, v in samples[-1].items()}, flush=True)
        rl.until(f"{victim} is fenced and back", lambda: lab.pid(victim), 60)
    figures = {}
    for with_dc in (False, True):
        of = [s for s in samples if s["with_dc"] == with_dc and s["own_s"] is not None]
        for key in ("total_s", "corosync_s", "switch_s", "own_s"):
            figures[f"{'DC lost' if with_dc else 'DC stays'}: {key}"] = median([s[key] for s in of])
    return figures, samples


# ---- Writes ---------------------------------------------------------------------------------------------------------------


def client_of(lab):
    """The reference's client through libcib, or None where its headers are not installed."""
    place = pathlib.Path(rl.cluster("dir").strip()) / "shared"
    folder = place / "build"
    shutil.copytree(rl.reference() / "bench", folder, ignore=shutil.ignore_patterns("results*", "__pycache__"))
    made = subprocess.run(["make", "-s", "-C", str(folder), "cibclient"], capture_output=True, text=True)
    if made.returncode != 0:
        raise rl.Missing(f"no client: {made.stderr.strip().splitlines()[-1:]} (pacemaker-dev)")
    shutil.copy(folder / "cibclient", place)
    bound = subprocess.run(["g++", "-O2", "-o", str(place / "cpg_bound"), str(HERE / "cpg_bound.cpp"), "-lcpg"],
                           capture_output=True, text=True)
    if bound.returncode != 0:
        raise rl.Missing(f"cpg_bound: {bound.stderr.strip().splitlines()[-1:]}")
    return "/run/lab/cibclient"


def bench_writes(lab, reps):
    lab.up(3)
    client = client_of(lab)
    dc = lab.dc("n1")
    other = next(n for n in rl.NODES if n != dc)
    samples = []

    def one(label, node, count, clients):
        each = count // clients
        command = f"for i in $(seq {clients}); do {client} modify {each} labbench >/dev/null & done; wait"
        time.sleep(SETTLE_S)
        peer = next(n for n in rl.NODES if n not in (dc, node))
        before = lab.cpu_ns(peer), lab.daemon_cpu_ns(peer)["corosync"]
        begin = time.monotonic()
        lab.run(node, "sh", "-c", command)
        took = time.monotonic() - begin
        after = lab.cpu_ns(peer), lab.daemon_cpu_ns(peer)["corosync"]
        corosync = (after[1] - before[1]) / 1e6 / count
        samples.append({"case": label, "per_s": count / took, "peer_corosync_ms": corosync,
                        "peer_own_ms": (after[0] - before[0]) / 1e6 / count - corosync})
        print("   ", {k: round(v, 3) if isinstance(v, float) else v for k, v in samples[-1].items()}, flush=True)

    for _ in range(reps):
        one("one client on the DC", dc, 600, 1)
        one("one client elsewhere", other, 600, 1)
        one("eight clients on the DC", dc, 2000, 8)
        for window in (1, 8):
            out = lab.run(other, "/run/lab/cpg_bound", "2000", str(window), "700")
            samples.append({"case": f"Corosync alone, {window} message{'s' if window > 1 else ''} under way",
                            "per_s": float(re.search(r"([\d.]+)/s", out).group(1))})
    figures = {}
    for case in dict.fromkeys(s["case"] for s in samples):
        of = [s for s in samples if s["case"] == case]
        for key in of[0]:
            if key != "case":
                figures[f"{case}: {key}"] = median([s[key] for s in of])
    return figures, samples


# ---- Many resources ----------------------------------------------------------------------------------------------------


def own_pss(lab):
    """MB of the manager's processes (without Corosync) by node."""
    return {n: sum(m["pss"] for d, m in lab.memory(n).items() if d not in ("corosync", "TOTAL")) / 1024 for n in rl.NODES}


def bench_many(lab, _):
    figures = {}
    for count in (300, 1000):
        lab.up(3)
        time.sleep(10)
        figures["idle: MB a node"] = median(list(own_pss(lab).values()))
        active = [pathlib.Path(lab.root(n)) / "run" for n in rl.NODES]
        begin = time.monotonic()
        lab.cib_modify("n1", "<resources>" + "".join(rl.primitive(f"m{i}", "ocf:pacemaker:Dummy") for i in range(count))
                       + "</resources>")
        rl.until(f"{count} run", lambda: sum(len(list(a.glob("Dummy-m*"))) for a in active) >= count, 600, 0.05)
        figures[f"{count}: seconds to all running"] = time.monotonic() - begin
        lab.wait_idle("n1", 300)
        time.sleep(10)
        pss, dc = own_pss(lab), lab.dc("n1")
        figures[f"{count}: MB on the DC"] = pss[dc]
        figures[f"{count}: MB on another node"] = median([v for n, v in pss.items() if n != dc])
        print("   ", {k: round(v, 1) for k, v in figures.items()}, flush=True)
    return figures, []


OWN = {"share": bench_share, "writes": bench_writes, "many": bench_many}


def run(options):
    rl.check_machine()
    name = os.environ.get("REFLAB") or rl.name_for(options.build.resolve(), "b")
    folder = pathlib.Path("/var/tmp") / f"systole-bench-{name}"
    stacks = {"reference": rl.reference() / "stacks" / "pacemaker.env"}
    if options.only != "reference":
        staged = options.build.resolve() / "systole.env"  # tests/lab/stage made it
        stacks["systole"] = staged if staged.exists() else rl.stage(options.build.resolve(), folder)
    try:
        for bench in options.bench or DEFAULT:
            for who in STACKS:
                if options.only not in (None, who):
                    continue
                out = options.out / who
                out.mkdir(parents=True, exist_ok=True)
                print(f"-- {bench} on {who}", flush=True)
                lab = rl.open_lab(name, stacks[who])
                lab.stack, lab.vars = str(stacks[who]), sys.modules["lab"].stack_vars(str(stacks[who]))
                if bench in OWN:
                    try:
                        figures, samples = OWN[bench](lab, options.reps)
                    finally:
                        lab.down()
                    (out / f"{bench}.json").write_text(json.dumps({"summary": figures, "samples": samples}, indent=1))
                else:
                    done = subprocess.run([str(rl.reference() / "bench" / "run.py"), "--stack", str(stacks[who]), "--out", str(out),
                                           "--reps", str(options.reps), bench], env=dict(os.environ, REFLAB=name))
                    if done.returncode != 0:
                        print(f"   ({bench} failed on {who})")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(folder):
    def figures(who):
        found = {}
        for path in sorted((folder / who).glob("*.json")):
            for key, value in json.loads(path.read_text())["summary"].items():
                value = value.get("median") if isinstance(value, dict) else value
                if isinstance(value, (int, float)):
                    found[path.stem, key] = value
        return found
    theirs, ours = (figures(who) for who in STACKS)
    print("| bench | figure | reference | Systole | ratio |\n| --- | --- | ---: | ---: | ---: |")
    for bench, key in dict.fromkeys([*theirs, *ours]):
        a, b = theirs.get((bench, key)), ours.get((bench, key))
        ratio = f"{a / b:.1f}" if a and b else ""
        print(f"| {bench} | {key} | {'' if a is None else f'{a:.4g}'} | {'' if b is None else f'{b:.4g}'} | {ratio} |")


def main():
    given = argparse.ArgumentParser(usage=__doc__)
    verbs = given.add_subparsers(dest="verb", required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("--build", type=pathlib.Path, required=True)
    runs.add_argument("--out", type=pathlib.Path, required=True)
    runs.add_argument("--reps", type=int, default=3)
    runs.add_argument("--only", choices=STACKS)
    runs.add_argument("bench", nargs="*")
    verbs.add_parser("table").add_argument("folder", type=pathlib.Path)
    options = given.parse_args()
    try:
        return run(options) if options.verb == "run" else table(options.folder)
    except rl.Missing as missing:
        print(f"cluster.py: {missing}", file=sys.stderr)
        return 77


sys.exit(main())
