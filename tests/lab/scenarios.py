"""What a cluster of three nodes must live through, on real Corosync. Each function is one test; `run` calls it with a lab
in which all nodes are online and nothing but the fence device is configured.

Judged by the agents' own records (ocf:lab:Probe writes a line as each action begins and ends, the power switch as it cuts
a node off), not by what the cluster believes.
"""
import itertools
import time

from reference_lab import (NODES, Broken, actions, check_single, clone, cluster, group, located, op, primitive, until)

PROBE = "ocf:lab:Probe"
ADDRESS = "10.91.9.9"
ASK_PAGE = ("import sys, urllib.request as r; "
            "sys.stdout.write(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=2).read().decode())")


# ---- Helpers --------------------------------------------------------------------------------------------------------


def configure(lab, resources="", constraints=""):
    """These resources beside the fence device, and waits until they run."""
    lab.cib_modify("n1", f"<resources>{resources}</resources>")
    if constraints:
        lab.cib_modify("n1", f"<constraints>{constraints}</constraints>", "constraints")


def probe(name, interval="1s", **more):
    return primitive(name, PROBE, operations=[op(name, "monitor", interval)], **more)


def where(lab, ask, resource):
    """The one node on which the cluster believes the resource to run; None while it is none or several."""
    found = set(lab.where(ask, resource))
    return found.pop() if len(found) == 1 else None


def runs(lab, ask, resource, seconds=20, on=None, off=None):
    def here():
        node = where(lab, ask, resource)
        return node if node and (on is None or node == on) and node != off else None

    return until(f"{resource} runs{f' on {on}' if on else ''}{f' elsewhere than on {off}' if off else ''}", here, seconds)


def all_online(lab, ask="n1", seconds=60):
    until("all nodes are online", lambda: set(NODES) <= set(lab.online(ask)), seconds)


def at_rest(lab, ask="n1"):
    lab.wait_idle(ask, 60)


def page(lab, node):
    return lab.run(node, "python3", "-c", ASK_PAGE, f"http://{ADDRESS}:8080/", check=False).strip()


def power(lab, mark, node, word):
    return [at for at, words in lab.events()[mark:] if words[:3] == ["node", node, word]]


def fenced(lab, mark, node):
    return [at for at, words in lab.events()[mark:] if words[:2] == ["power", "request"] and words[2:] in
            (["reboot", node], ["off", node])]


def start_manager(lab, node):
    """What systemd does when pacemakerd has failed."""
    lab.run(node, "/run/lab/node-ctl", "manager_start")


def others(node):
    return [n for n in NODES if n != node]


def check_lone_start(lab, mark, resource):
    """Nothing was started where it was active already; a node without power has nothing active."""
    events = lab.events()[mark:]
    done = actions(events, resource, "start", "stop")
    done += [(at, words[1], "off") for at, words in events if words[0] == "node" and words[2:3] == ["off"]]
    for node in NODES:
        seen = [action for _, n, action in sorted(done) if n == node]
        if any(a == b == "start" for a, b in zip(seen, seen[1:])):
            raise Broken(f"{resource} was started twice on {node}: {' '.join(seen)}")


def untouched(lab, mark, *resources):
    """None of these was started or stopped since."""
    for resource in resources:
        done = actions(lab.events()[mark:], resource, "start", "stop")
        if done:
            raise Broken(f"{resource} was touched: {done}")


# ---- Scenarios --------------------------------------------------------------------------------------------------------


def kinds_of_resources(lab):
    """A primitive, a group with an address and a web server, a clone and a promotable clone run; everybody agrees on the DC."""
    dcs = {lab.dc(node) for node in NODES}
    if len(dcs) != 1 or None in dcs:
        raise Broken(f"the nodes name different DCs: {dcs}")
    lab.run("n1", "sh", "-c", "mkdir -p /run/lab/www && echo kept running >/run/lab/www/index.html")
    site = group("web", primitive("ip", "ocf:heartbeat:IPaddr2", {"ip": ADDRESS, "cidr_netmask": "16"},
                                  operations=[op("ip", "monitor", "2s")]),
                 primitive("server", "ocf:systole:httpserver",
                           {"bindaddr": ADDRESS, "docroot": "/run/lab/www"}, operations=[op("server", "monitor", "2s")]))
    stateful = primitive("state", "ocf:pacemaker:Stateful", operations=[op("state", "monitor", "5s", role="Promoted"),
                                                                        op("state", "monitor", "6s", role="Unpromoted")])
    plain = primitive("plain", "ocf:pacemaker:Stateful", operations=[op("plain", "monitor", "7s", role="Unpromoted")])
    configure(lab, primitive("dummy", "ocf:heartbeat:Dummy", operations=[op("dummy", "monitor", "5s")]) + site
              + clone("probes", probe("each")) + clone("states", stateful, promotable="true") + clone("plains", plain))
    runs(lab, "n2", "dummy")
    site_node = runs(lab, "n2", "server")
    if where(lab, "n2", "ip") != site_node:
        raise Broken("the members of the group run apart")
    until("the page is served", lambda: page(lab, others(site_node)[0]) == "kept running", 10)
    for each in ("probes", "states", "plains"):
        until(f"{each} runs on all nodes", lambda e=each: sorted(lab.where("n3", e)) == NODES, 20)
    promoted = "running on: {} Promoted"
    count = [lab.run("n1", "crm_resource", "--locate", "-r", "states").count(word) for word in ("Promoted", "Master")]
    if sum(count) != 1:
        raise Broken(f"{sum(count)} instances are promoted, not one ({promoted})")
    at_rest(lab)
    # The web server's node goes: the address and the page come back elsewhere.
    cluster("crash", site_node)
    rest = others(site_node)
    runs(lab, rest[0], "server", 30, off=site_node)
    until("the page is served again", lambda: page(lab, rest[1]) == "kept running", 10)
    until("one instance is promoted", lambda: sum(lab.run(rest[0], "crm_resource", "--locate", "-r", "states", check=False)
                                                  .count(word) for word in ("Promoted", "Master")) == 1, 20)


def power_off_in_turn(lab):
    """The node that runs a service loses its power, then the DC does, then the next before the last is back for long."""
    configure(lab, probe("service"))
    mark = len(lab.events())
    node = runs(lab, "n1", "service")
    for victim_of in (lambda here, dc: here, lambda here, dc: dc, lambda here, dc: here):
        at_rest(lab, others(node)[0])
        victim = victim_of(node, lab.dc(node))
        survivor = others(victim)[0]
        before = len(lab.events())
        cluster("crash", victim)
        until(f"{victim} is fenced", lambda v=victim, b=before: fenced(lab, b, v), 20)
        node = runs(lab, survivor, "service", 30, off=victim)
        check_single(lab.events(), "service")
        all_online(lab, survivor)
    check_lone_start(lab, mark, "service")


def partition_is_fenced(lab):
    """A minority that runs a service is cut off: it is fenced before the service starts again."""
    configure(lab, probe("service"), located("service", "n3", 100))
    runs(lab, "n1", "service", on="n3")
    at_rest(lab)
    mark = len(lab.events())
    cluster("partition", "n3")
    runs(lab, "n1", "service", 30, off="n3")
    spans = check_single(lab.events(), "service")
    off = power(lab, mark, "n3", "off")
    if not off or off[0] > spans[-1][1]:
        raise Broken("the service began to start before n3 had no power")
    cluster("heal")
    all_online(lab)


def partition_without_fencing_stops(lab):
    """Nobody can be fenced: the minority stops its service, the majority waits; it runs once again after the cut is mended."""
    configure(lab, probe("service"), located("service", "n3", 100))
    runs(lab, "n1", "service", on="n3")
    lab.run("n1", "crm_resource", "--resource", "fencing", "--meta", "-p", "target-role", "-v", "Stopped")
    at_rest(lab)
    mark = len(lab.events())
    cluster("partition", "n3")
    until("the minority stops the service", lambda: actions(lab.events()[mark:], "service", "stop"), 30)
    time.sleep(2)  # for what must not happen: a start by the majority
    starts = actions(lab.events()[mark:], "service", "start")
    if starts:
        raise Broken(f"started without fencing: {starts}")
    cluster("heal")
    runs(lab, "n1", "service", 60)
    check_single(lab.events(), "service")
    if fenced(lab, mark, "n3"):
        raise Broken("n3 was fenced though nobody could")


def hung_stop_is_fenced(lab):
    """A stop that hangs runs into its timeout; its node is fenced, and the service starts elsewhere after that."""
    slow = primitive("service", PROBE, operations=[op("service", "monitor", "1s"),
                                                   op("service", "stop", timeout="2s", parameters={"op_sleep": "60"})])
    configure(lab, slow)
    node = runs(lab, "n1", "service")
    at_rest(lab)
    mark = len(lab.events())
    lab.run(others(node)[0], "crm_resource", "--ban", "-r", "service", "--node", node)
    runs(lab, others(node)[0], "service", 40, off=node)
    if not power(lab, mark, node, "off"):
        raise Broken(f"{node} kept its power")
    check_single(lab.events(), "service")


def daemons_killed_in_any_order(lab):
    """All daemons of a node are killed, in every order: what runs there runs on, and nothing is started twice."""
    configure(lab, clone("probes", probe("each")))
    until("the clone runs on all nodes", lambda: sorted(lab.where("n1", "probes")) == NODES, 20)
    at_rest(lab)
    mark = len(lab.events())
    names = ["pacemakerd", "systole-core", "systole-execd"]
    for node, order in zip(itertools.cycle(NODES), itertools.permutations(names)):
        for name in order:
            cluster("kill", node, name)
            time.sleep(0.1)
        start_manager(lab, node)
        ask = others(node)[0]
        until(f"{node} has all daemons after {' '.join(order)}",
              lambda n=node: sorted(lab.daemons(n).values()) == sorted([*names, "corosync"]), 20)
        all_online(lab, ask, 30)
        until("the clone is seen on all nodes", lambda a=ask: sorted(lab.where(a, "probes")) == NODES, 20)
        at_rest(lab, ask)
        untouched(lab, mark, "each")
    if any(fenced(lab, mark, node) for node in NODES):
        raise Broken("a node was fenced")


def executor_killed(lab):
    """The executor is killed, on the DC too: resources run on, a failure is still found and mended."""
    configure(lab, clone("probes", probe("each")))
    until("the clone runs on all nodes", lambda: sorted(lab.where("n1", "probes")) == NODES, 20)
    at_rest(lab)
    mark = len(lab.events())
    for node in (lab.dc("n1"), others(lab.dc("n1"))[0]):
        cluster("kill", node, "systole-execd")
        since = len(lab.events())
        until(f"{node} monitors again",
              lambda n=node, s=since: [a for a in actions(lab.events()[s:], "each", "monitor") if a[1] == n], 20)
        all_online(lab, others(node)[0], 30)
        at_rest(lab)
    untouched(lab, mark, "each")
    node = NODES[1]
    lab.run(node, "rm", "/run/Probe-each.state")
    until("the failure is mended", lambda: actions(lab.events()[mark:], "each", "start"), 20)


def corosync_killed(lab):
    """Without Corosync a node is no member: it is fenced before its service starts elsewhere, and comes back."""
    configure(lab, probe("service"))
    node = runs(lab, "n1", "service")
    at_rest(lab)
    mark = len(lab.events())
    cluster("kill", node, "corosync")
    survivor = others(node)[0]
    runs(lab, survivor, "service", 40, off=node)
    check_single(lab.events(), "service")
    if not power(lab, mark, node, "off"):
        raise Broken(f"{node} kept its power")


def full_disk(lab):
    """A node's disk is full: it says so, goes on with the configuration in memory, and writes again when there is room."""
    node = others(lab.dc("n1"))[0]
    folder = "/var/lib/pacemaker/cib"

    def change(value):
        lab.run("n1", "crm_attribute", "-t", "crm_config", "-n", "marked", "-v", value)
        until(f"{node} knows the change", lambda: value in lab.run(node, "cibadmin", "-Q", "-l", "-o", "crm_config"), 10)

    lab.run(node, "sh", "-c", f"mount -t tmpfs -o size=64k,mode=750,uid=$(id -u hacluster),gid=$(getent group haclient | cut -d: -f3)"
                              f" tmpfs {folder} && ! dd if=/dev/zero of={folder}/filler bs=4k status=none 2>/dev/null")
    try:
        change("while-full")
        until("the log says it", lambda: any("could not be written" in line for line in lab.log(node)), 10)
        all_online(lab)
        lab.run(node, "rm", f"{folder}/filler")
        change("with-room")
        until("it is on disk", lambda: "with-room" in lab.run(node, "cat", f"{folder}/cib.xml", check=False), 10)
    finally:
        lab.run(node, "umount", "-l", folder)
    change("after")
    until("the disk has it", lambda: "after" in lab.run(node, "cat", f"{folder}/cib.xml"), 10)


SCENARIOS = [kinds_of_resources, power_off_in_turn, partition_is_fenced, partition_without_fencing_stops, hung_stop_is_fenced,
             daemons_killed_in_any_order, executor_killed, corosync_killed, full_disk]
