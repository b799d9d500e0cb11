#!/usr/bin/env python3
"""Debian's unmodified clients against a Systole cluster and against the reference, side by side: the same answers?

usage: side_by_side.py --build BUILD [--show]      --show: print every answer, not only those that differ

Two labs of ../shared/reference are brought up, one runs the reference, one this build, both get the same configuration by
the same commands. Each command's standard output, standard error and exit status are compared after what must differ was
made equal (NORMAL below: each with its reason). Exit status 77: no lab can be had here; the line SKIP says why.
"""
import argparse
import concurrent.futures
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import reference_lab as rl  # noqa: E402

AGENT = "ocf:heartbeat:Dummy"  # the same program on both sides

# (pattern, what it becomes): only what cannot be the same in two clusters, or is the one's own name.
NORMAL = [
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:\d\d|Z)?", "TIME"),           # when it was asked or done
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "TIME"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),       # of DCs and requests
    (r"(Current DC: |Designated Controller is: |Current DC is |^DC: )n\d", r"\1DC"),      # who wins an election is open
    (r"2\.1\.5(-[0-9a-f~.]+)*|3\.0\.2-systole-[\d.]+", "VERSION"),                       # whose daemons these are
    (r'\b(exec-time|queue-time|exec|queue)="?\d+ms"?', r"\1=TIMED"),                      # history
    (r'\bcall="?\d+"?', "call=NUMBER"),                  # counts what a core and its executor say to each other besides
    (r'current_dc present="true" version="VERSION" name="n\d" id="\d"', "current_dc DC"),
    (r'is_dc="(true|false)"', "is_dc"),
    (r'feature_set="3\.(16\.1|20\.5)"', "feature_set"),                                # whose daemons these are
    (r"\(last updated TIME\)", ""),
    (r"reflab-[a-z0-9]+-[rs]\b", "NAME"),                                                # the two labs' own
    (r"in state (S_IDLE|S_NOT_DC)", "in state STATE"),                                    # whether it is the DC
    (r"delegate=n\d, client=stonith_admin\.\d+", "delegate, client"),                    # whose answer came first is open
    (r"(Waiting for \d+ repl\w+ from the controller\n|\.+ got reply( \(done\))?\n)", ""),   # printed as answers come in
    (r" after \d+ms$", ""),                      # 2.1.5's executor tells no time for a recurring operation that failed
    # A refused change comes back as the whole CIB that it would have made, history and all.
    (r"<status>.*</status>", "<status/>"),
    (r"object[_-]type=", "object-type="),                                                 # the older spelling is 2.1.5's
    # A client of another release than the DC's says that it may misjudge: it does where the DC is ours.
    (r"^warning: wait option may not work properly in mixed-version cluster\n", ""),
]


class Side:
    """One of the two labs."""

    def __init__(self, name, stack):
        self.name, self.stack = name, stack

    def cluster(self, *words, timeout=300):
        return subprocess.run([str(rl.reference() / "cluster"), *words], env=dict(os.environ, REFLAB=self.name), timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def run(self, node, *words):
        return self.cluster("exec", node, *words)

    def answer(self, node, *words):
        done = self.run(node, *words)
        text = f"{done.stdout}--- stderr\n{done.stderr}--- status {done.returncode}"
        for pattern, becomes in NORMAL:
            text = re.sub(pattern, becomes, text, flags=re.S if pattern.startswith('<') else re.M)
        return text

    def settle(self):
        self.run("n1", "crm_resource", "--wait", "--timeout=60")


def cib_parts(text):
    """A CIB without what two clusters cannot have in common."""
    text = re.sub(r' (cib-last-written|update-origin|update-client|update-user|dc-uuid|epoch|num_updates|crm_feature_set)="[^"]*"',
                  "", text)
    return text


CONFIGURATION = (
    '<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">'
    '<nvpair id="fence" name="stonith-enabled" value="true"/></cluster_property_set></crm_config><resources>'
    '<primitive id="fencing" class="stonith" type="fence_lab"><instance_attributes id="fencing-i">'
    '<nvpair id="fencing-list" name="pcmk_host_list" value="n1 n2 n3"/></instance_attributes></primitive>'
    + rl.primitive("a", AGENT, operations=[rl.op("a", "monitor", "10s")])
    + rl.group("g", rl.primitive("g1", AGENT, operations=[rl.op("g1", "monitor", "10s")]), rl.primitive("g2", AGENT))
    + rl.clone("c", rl.primitive("ci", AGENT, operations=[rl.op("ci", "monitor", "10s")]))
    + "</resources>"
    + "<constraints>" + rl.located("a", "n1", 200) + rl.located("g", "n2", 200) + rl.located("fencing", "n3", 200)
    + "</constraints></configuration>")

# Words are a command; a leading "!" only does it (its answer is not compared), "~" compares its lines in any order (nodes are
# listed by who joined first, resources of a node by whose result came first), "wait" lets both come to rest. The number of
# updates that a command counts is the reference's own affair, so CIBs are compared section by section.
STEPS = [
    ["!", "cibadmin", "--modify", "--allow-create", "--xml-text", CONFIGURATION],
    ["wait"],
    ["crm_mon", "-1"],
    ["~", "crm_mon", "-1", "-n", "-r"],
    ["~", "crm_mon", "-1", "--output-as=xml", "--include=nodes,resources"],
    ["~", "crm_node", "-l"],
    ["crm_node", "-n"],
    ["crm_node", "-p"],
    ["crm_node", "-q"],
    ["crm_node", "-i"],
    ["crmadmin", "-D"],
    ["crmadmin", "-N"],
    ["crmadmin", "-S", "n2"],
    ["crm_resource", "-l"],
    ["crm_resource", "-L"],
    ["crm_resource", "-W", "-r", "a"],
    ["crm_resource", "-W", "-r", "g"],
    ["~", "crm_resource", "-W", "-r", "c"],
    ["crm_resource", "-W", "-r", "nothing"],
    ["crm_resource", "-q", "-r", "a"],
    ["cibadmin", "-Q", "-o", "resources"],
    ["cibadmin", "-Q", "-o", "constraints"],
    ["cibadmin", "-Q", "-o", "nodes"],
    ["cibadmin", "-Q", "--xpath", "//primitive[@id='a']"],
    ["cibadmin", "-Q", "--xpath", "//none"],
    ["cibadmin", "-M", "-o", "resources", "--xml-text", '<primitive id="a" description="changed"/>'],
    ["cibadmin", "-Q", "--xpath", "//primitive[@id='a']"],
    ["cibadmin", "-M", "-o", "resources", "--xml-text", '<primitive id="nothing" description="changed"/>'],
    ["cibadmin", "-C", "-o", "resources", "--xml-text", '<primitive id="a" class="ocf" provider="pacemaker" type="Dummy"/>'],
    ["cibadmin", "-C", "-o", "resources", "--xml-text", '<primitive id="bad" klass="ocf"/>'],
    ["cibadmin", "-C", "-o", "resources", "--xml-text", "<primitive id="],
    ["cibadmin", "-R", "-o", "constraints", "--xml-text",
     "<constraints>" + rl.located("a", "n1", 300) + rl.located("g", "n2", 200) + rl.located("fencing", "n3", 200) + "</constraints>"],
    ["cibadmin", "-Q", "-o", "constraints"],
    ["cibadmin", "-D", "--xml-text", '<rsc_location id="loc-a-n1"/>'],
    ["cibadmin", "-D", "--xml-text", '<rsc_location id="loc-a-n1"/>'],
    ["cibadmin", "--replace", "--xml-text", "<nonsense/>"],
    ["cibadmin", "-C", "-o", "resources", "--xml-text", '<primitive id="none" class="ocf" provider="test" type="NoSuchAgent"/>'],
    ["wait"],
    ["~", "crm_mon", "-1"],
    ["cibadmin", "-D", "--xml-text", '<primitive id="none"/>'],
    ["wait"],
    ["crm_attribute", "-t", "crm_config", "-n", "batch-limit", "-v", "17"],
    ["crm_attribute", "-t", "crm_config", "-n", "batch-limit", "-G"],
    ["crm_attribute", "-t", "crm_config", "-n", "batch-limit", "-D"],
    ["crm_attribute", "-t", "crm_config", "-n", "batch-limit", "-G"],
    ["crm_attribute", "-N", "n2", "-n", "rack", "-v", "7"],
    ["crm_attribute", "-N", "n2", "-n", "rack", "-G", "-q"],
    ["crm_attribute", "-N", "n2", "-n", "temporary", "-v", "8", "-l", "reboot"],
    ["attrd_updater", "-n", "mark", "-U", "5"],
    ["attrd_updater", "-n", "mark", "-Q"],
    ["attrd_updater", "-n", "mark", "-Q", "-A"],
    ["attrd_updater", "-n", "mark", "-D"],
    ["attrd_updater", "-n", "unknown", "-Q"],
    ["crm_mon", "-1", "-A"],
    ["stonith_admin", "-L"],
    ["stonith_admin", "-l", "n2"],
    ["stonith_admin", "-l", "nobody"],
    ["crm_resource", "--move", "-r", "a", "--node", "n2"],
    ["wait"],
    ["crm_resource", "-W", "-r", "a"],
    ["cibadmin", "-Q", "-o", "constraints"],
    ["crm_resource", "--clear", "-r", "a"],
    ["wait"],
    ["crm_resource", "-r", "a", "--set-parameter", "fake", "-v", "x"],
    ["crm_resource", "-r", "a", "--get-parameter", "fake"],
    ["crm_resource", "-r", "a", "-m", "--set-parameter", "is-managed", "-v", "false"],
    ["crm_mon", "-1"],
    ["crm_resource", "-r", "a", "-m", "--delete-parameter", "is-managed"],
    ["!", "rm", "/run/resource-agents/Dummy-g1.state", "/run/resource-agents/Dummy-g2.state"],  # on n1, where they are not: nothing happens
    ["on n2", "!", "rm", "/run/resource-agents/Dummy-g1.state"],
    ["pause"],
    ["wait"],
    ["crm_failcount", "-G", "-r", "g1", "-N", "n2"],
    ["crm_mon", "-1", "-f"],
    ["crm_resource", "--cleanup", "-r", "g1"],
    ["wait"],
    ["crm_failcount", "-G", "-r", "g1", "-N", "n2"],
    ["crm_standby", "-N", "n3", "-v", "on"],
    ["wait"],
    ["crm_mon", "-1"],
    ["crm_standby", "-N", "n3", "-D"],
    ["wait"],
    ["crm_verify", "-L"],
    ["crm_ticket", "-t", "T", "-g", "--force"],
    ["crm_ticket", "-L"],
    ["stonith_admin", "--reboot", "n3"],
    ["online"],
    ["stonith_admin", "--history", "n3"],
    ["crm_mon", "-1"],
]
BOOT_DELAY = "8"  # long beside Corosync's token and consensus: that a node is away can be seen
SHELLS = [  # left out where they are not installed
    ["pcs", "resource", "create", "p", "ocf:pacemaker:Dummy", "op", "monitor", "interval=10s", "--wait=30"],
    ["pcs", "constraint", "location", "p", "prefers", "n1=INFINITY"],
    ["wait"],
    ["pcs", "status"],
    ["pcs", "resource", "config"],
    ["pcs", "constraint"],
    ["pcs", "property", "set", "cluster-delay=61s"],
    ["pcs", "property"],
    ["pcs", "stonith", "status"],
    ["pcs", "node", "standby", "n2", "--wait=30"],
    ["pcs", "status", "nodes"],
    ["pcs", "node", "unstandby", "n2", "--wait=30"],
    ["pcs", "resource", "disable", "p", "--wait=30"],
    ["pcs", "resource", "delete", "p"],
    ["wait"],
    ["crm", "status"],
    ["crm", "configure", "show"],
    ["crm", "-w", "configure", "primitive", "q", "ocf:lab:Probe", "op", "monitor", "interval=10s"],
    ["crm", "-w", "resource", "stop", "q"],
    ["crm", "-w", "-F", "configure", "delete", "q"],
]


def do(side, words):
    node = "n1"
    if words[0].startswith("on "):
        node, words = words[0][3:], words[1:]
    if words == ["wait"]:
        side.settle()
    elif words == ["pause"]:
        time.sleep(12)  # the interval of a monitor
    elif words == ["online"]:  # after the power of a node went off
        rl.until(f"{side.name} misses a node", lambda: "Online: [ n1 n2 n3 ]" not in side.run("n1", "crm_mon", "-1").stdout, 30)
        rl.until(f"all nodes of {side.name} are online", lambda: "Online: [ n1 n2 n3 ]" in side.run("n1", "crm_mon", "-1").stdout, 90)
        side.settle()
    elif words[0] == "!":
        side.run(node, *words[1:])
    elif words[0] == "~":
        return "\n".join(sorted(side.answer(node, *words[1:]).splitlines()))
    else:
        text = side.answer(node, *words)
        return cib_parts(text) if words[0] == "cibadmin" else text
    return None


def main():
    given = argparse.ArgumentParser(usage=__doc__)
    given.add_argument("--build", type=pathlib.Path, required=True)
    given.add_argument("--show", action="store_true")
    options = given.parse_args()
    try:
        rl.check_machine()
    except rl.Missing as missing:
        print(f"SKIP: {missing}")
        return 77
    build = options.build.resolve()
    name = os.environ.get("REFLAB") or rl.name_for(build)
    folder = pathlib.Path("/var/tmp") / f"systole-lab-{name}-i"
    stack = rl.stage(build, folder)
    sides = [Side(f"{name}-r", rl.reference() / "stacks" / "pacemaker.env"), Side(f"{name}-s", stack)]
    steps = STEPS + [words for words in SHELLS if words == ["wait"] or shutil.which(words[0], path="/usr/sbin:/usr/bin")]
    good = bad = 0
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        try:
            for up in both.map(lambda side: side.cluster("up", "3", "--stack", str(side.stack), "--boot-delay", BOOT_DELAY, "--bare"), sides):
                if up.returncode != 0:
                    raise SystemExit(f"the lab does not come up: {up.stdout}{up.stderr}")
            for words in steps:
                theirs, ours = both.map(lambda side, w=words: do(side, w), sides)
                if theirs is None and ours is None:
                    continue
                same = theirs == ours
                good, bad = good + same, bad + (not same)
                print(f"{'ok' if same else 'not ok'} - {' '.join(words)[:120]}", flush=True)
                if options.show:
                    print("".join(f"#   {line}\n" for line in ours.splitlines()), end="")
                for line in difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "reference", "Systole", "", "", 1, ""):
                    print(f"#   {line}")
        except rl.Broken as fault:
            bad += 1
            print(f"not ok - {fault}")
            for side in sides:
                print("".join(f"#   {line}\n" for line in (side.run("n1", "crm_mon", "-1").stdout
                                                          + side.cluster("logs", "error|warn|notice").stdout).splitlines()[-60:]))
        finally:
            list(both.map(lambda side: side.cluster("down"), sides))
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


sys.exit(main())
