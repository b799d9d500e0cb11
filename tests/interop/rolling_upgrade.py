#!/usr/bin/env python3
"""A cluster of the reference becomes one of Systole, node by node, and a service runs all the time.

usage: rolling_upgrade.py --build BUILD

Three nodes run the reference; then each in turn leaves in good order, is powered off, gets this build and joins again. Judged
by the agents' records: the service is never active twice and is stopped and started only because its node leaves; nobody is
fenced; the mixed cluster agrees on its CIB and DC at every stage. Exit status 77: no lab can be had here (line SKIP).
"""
import argparse
import os
import pathlib
import shutil
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import reference_lab as rl  # noqa: E402

SECTIONS = ["crm_config", "nodes", "resources", "constraints"]


def same_cib(lab):
    """Do all nodes have the same configuration? Their copies are read locally."""
    copies = {tuple(lab.run(n, "cibadmin", "-Q", "-l", "-o", section) for section in SECTIONS) for n in rl.NODES}
    return len(copies) == 1


def check(lab, stage, step):
    rl.until(f"{stage}: all nodes are online", lambda: all(set(rl.NODES) <= set(lab.online(n)) for n in rl.NODES), 60)
    lab.wait_idle("n1", 60)
    rl.until(f"{stage}: all name the same DC", lambda: len({lab.dc(n) for n in rl.NODES} - {None}) == 1, 20)
    rl.until(f"{stage}: all have the same configuration", lambda: same_cib(lab), 20)
    rl.until(f"{stage}: the service runs", lambda: len(lab.where("n1", "service")) == 1, 20)
    rl.until(f"{stage}: the clone runs everywhere", lambda: sorted(lab.where("n1", "clone")) == rl.NODES, 20)
    rl.check_single(lab.events(), "service")
    # A change made on each kind of node is seen on all, and an attribute of each node by every other.
    for node in rl.NODES:
        value = f"{step}-{node}"
        lab.run(node, "crm_attribute", "-t", "crm_config", "-n", "marked", "-v", value)
        lab.run(node, "attrd_updater", "-n", "mark", "-U", value)
        for other in rl.NODES:
            rl.until(f"{stage}: {other} sees {node}'s property",
                     lambda o=other, v=value: v in lab.run(o, "crm_attribute", "-t", "crm_config", "-n", "marked", "-G", "-q"), 10)
            rl.until(f"{stage}: {other} sees {node}'s attribute",
                     lambda o=other, n=node, v=value: f'host="{n}" value="{v}"' in
                     lab.run(o, "attrd_updater", "-n", "mark", "-Q", "-N", n, check=False), 10)


def upgrade(lab, stack):
    lab.up(3)
    lab.run("n1", "crm_attribute", "-t", "rsc_defaults", "-n", "resource-stickiness", "-v", "100")  # nothing moves for balance
    probe = [rl.op("service", "monitor", "2s")]
    lab.cib_modify("n1", "<resources>" + rl.primitive("service", "ocf:lab:Probe", operations=probe)
                   + rl.clone("clone", rl.primitive("each", "ocf:lab:Probe", operations=[rl.op("each", "monitor", "2s")]))
                   + "</resources>")
    check(lab, "reference", 0)
    yield "three nodes of the reference"
    place = pathlib.Path(rl.cluster("dir").strip())
    for step, node in enumerate(rl.NODES, 1):
        had_service = lab.where("n1", "service") == [node]
        before = len(rl.actions(lab.events(), "service", "start"))
        rl.cluster("stop", node)
        rl.cluster("crash", node)  # all of it has stopped: what is left is the machine
        shutil.copy(stack, place / "shared" / f"stack.{node}.env")
        rl.cluster("boot", node)
        check(lab, f"{node} upgraded", step)
        started = len(rl.actions(lab.events(), "service", "start")) - before
        if started > had_service:
            raise rl.Broken(f"the service was started {started} times while {node} was upgraded")
        yield f"{node} runs Systole"
    fenced = [words for _, words in lab.events() if words[:2] == ["power", "request"] and words[2] in ("reboot", "off")]
    if fenced:
        raise rl.Broken(f"fenced: {fenced}")
    yield "nobody was fenced"


def main():
    given = argparse.ArgumentParser(usage=__doc__)
    given.add_argument("--build", type=pathlib.Path, required=True)
    options = given.parse_args()
    try:
        rl.check_machine()
    except rl.Missing as missing:
        print(f"SKIP: {missing}")
        return 77
    build = options.build.resolve()
    name = os.environ.get("REFLAB") or rl.name_for(build, "u")
    folder = pathlib.Path("/var/tmp") / f"systole-lab-{name}-u"
    stack = rl.stage(build, folder)
    lab = rl.open_lab(name, rl.reference() / "stacks" / "pacemaker.env")
    good = 0
    fault = None
    try:
        for stage in upgrade(lab, stack):
            good += 1
            print(f"ok - {stage}", flush=True)
    except (rl.Broken, RuntimeError) as error:
        fault = error if isinstance(error, rl.Broken) else "".join(traceback.format_exception(error))
        print(f"not ok - {fault}")
        for line in rl.cluster("logs", "error:|warning:|notice:", check=False).splitlines()[-80:]:
            print(f"#   {line}")
    finally:
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{good} passed, {0 if fault is None else 1} failed, 0 skipped")
    return 0 if fault is None else 1


sys.exit(main())
