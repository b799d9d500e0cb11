#!/usr/bin/env python3
"""The show that ./demo starts once Systole is built.

Three nodes on the local engine keep a web server running (python3 -m http.server under the agent ocf:systole:httpserver,
with its configuration in a real CIB) while its node, the DC and the server itself are killed. A client asks for a page
every 20 ms; what it misses is counted, nothing is hidden.
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

INTERVAL_S = 0.02
PAGE = "<h1>Kept running by Systole</h1>\n"


class Client(threading.Thread):
    """Asks for the page without pause and keeps (time, answered)."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.log = []
        self.stop = threading.Event()

    def ask(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.5)
            connection.request("GET", "/")
            return connection.getresponse().read() == PAGE.encode()
        except OSError:
            return False
        except http.client.HTTPException:
            return False

    def run(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            self.log.append((begin, self.ask()))
            self.stop.wait(max(0.0, INTERVAL_S - (time.monotonic() - begin)))

    def since(self, begin):
        return [entry for entry in list(self.log) if entry[0] >= begin]


class Cluster:
    def __init__(self, build, folder, nodes, port):
        self.bin = build / "bin"
        self.folder = folder
        self.names = [f"n{i}" for i in range(1, nodes + 1)]
        self.count = nodes
        self.port = port
        self.env = dict(os.environ, OCF_ROOT=str(build / "ocf"), SYSTOLE_FENCE_ROOT=str(build / "fence"),
                        SYSTOLE_PROGRAM=str(self.bin / "systole"), SYSTOLE_LOCAL_DIR=str(folder),
                        SYSTOLE_SCHEMAS=str(build / "schemas"), PCMK_schema_directory=str(build / "schemas"),
                        PATH=f"{self.bin}:{os.environ['PATH']}")

    def run(self, *words, check=True, **options):
        done = subprocess.run([str(w) for w in words], env=self.env, capture_output=True, text=True, timeout=60, **options)
        if check and done.returncode != 0:
            raise SystemExit(f"demo: {' '.join(map(str, words))} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        return done

    def local(self, *words, **options):
        return self.run("systole", "local", *words, **options)

    def on(self, node, *words, **options):
        return self.run("systole", "--node", node, *words, **options)

    def up(self):
        self.local("up", "--nodes", self.count)

    def down(self):
        self.local("down", check=False)

    def status(self):
        """(DC, node of the server, names of online nodes) as the first node that answers sees it; None if none does."""
        for node in self.names:
            done = self.on(node, "crm_mon", "-1", "--output-as=json", check=False)
            if done.returncode != 0:
                continue
            try:
                return self.read(json.loads(done.stdout))
            except (ValueError, KeyError):
                continue
        return None

    @staticmethod
    def read(tree):
        dc, where, online = None, None, []

        def walk(value, name=""):
            nonlocal dc, where
            if isinstance(value, list):
                for one in value:
                    walk(one, name)
            elif isinstance(value, dict):
                if name == "current_dc":
                    dc = value.get("name")
                if name == "node" and "online" in value and value.get("online") == "true":
                    online.append(value.get("name"))
                if name == "resource" and value.get("id") == "web" and value.get("active") == "true" \
                        and value.get("failed") != "true":
                    for node in value.get("node", []):
                        where = node.get("name")
                for key, inner in value.items():
                    walk(inner, key)

        walk(tree)
        return dc, where, sorted(online)

    def configure(self):
        docroot = self.folder / "www"
        docroot.mkdir(exist_ok=True)
        (docroot / "index.html").write_text(PAGE)
        def add(scope, text):
            self.on("n1", "cibadmin", "--modify", "--allow-create", "--scope", scope, "--xml-text", text)

        add("crm_config", """<crm_config><cluster_property_set id="cib-bootstrap-options">
  <nvpair id="opt-fencing" name="stonith-enabled" value="true"/></cluster_property_set></crm_config>""")
        # As pcs sets up new clusters: what runs stays where it is, unless it must move.
        add("rsc_defaults", """<rsc_defaults><meta_attributes id="rsc-defaults">
  <nvpair id="opt-stickiness" name="resource-stickiness" value="1"/></meta_attributes></rsc_defaults>""")
        add("resources", f"""<resources>
  <primitive id="power" class="stonith" type="fence_systole_local"><instance_attributes id="power-ia">
    <nvpair id="power-hosts" name="pcmk_host_list" value="{' '.join(self.names)}"/></instance_attributes></primitive>
  <primitive id="web" class="ocf" provider="systole" type="httpserver">
    <instance_attributes id="web-ia">
      <nvpair id="web-port" name="port" value="{self.port}"/><nvpair id="web-root" name="docroot" value="{docroot}"/>
    </instance_attributes>
    <operations><op id="web-mon" name="monitor" interval="1s" timeout="5s"/></operations>
  </primitive></resources>""")


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise SystemExit(f"demo: {what} did not happen within {seconds} s")


def line(begin, cluster, client, note=""):
    state = cluster.status()
    dc, where, online = state if state else (None, None, [])
    missed = sum(1 for _, ok in list(client.log) if not ok)
    nodes = " ".join(f"{n}{'*' if n == dc else ''}" if n in online else f"({n})" for n in cluster.names)
    print(f"{time.monotonic() - begin:6.1f} s   nodes: {nodes:<18} web on {where or '-':<4} requests {len(client.log):6}  "
          f"missed {missed:4}   {note}", flush=True)


def strike(name, act, cluster, client, begin):
    """One fault: what the client saw of it."""
    struck = time.monotonic()
    note = f"<- {name}: {act()}"
    end = struck + 40
    quiet_since = None
    while time.monotonic() < end:
        line(begin, cluster, client, note)
        note = ""
        time.sleep(0.7)
        seen = client.since(struck)
        lost = [t for t, ok in seen if not ok]
        state = cluster.status()
        settled = bool(seen) and seen[-1][1] and state and state[1] and state[0] and len(state[2]) == cluster.count
        quiet_since = quiet_since or (time.monotonic() if settled else None)
        if not settled:
            quiet_since = None
        if quiet_since and time.monotonic() - quiet_since > 1.5:
            break
    seen = client.since(struck)
    lost = [t for t, ok in seen if not ok]
    back = next((t for t, ok in reversed(seen) if ok), None)
    recovered = not lost or (back is not None and back > lost[-1])
    return {"fault": name, "lost": len(lost), "gap_s": (lost[-1] - lost[0] + INTERVAL_S) if lost else 0.0,
            "after_s": (lost[-1] - struck) if lost else 0.0, "recovered": recovered}


def free_port(wanted):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--exit", action="store_true", help="stop when the show is over")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--dir", type=pathlib.Path, help="state directory (default: a temporary one)")
    parser.add_argument("--port", type=int, help="of the web server (default: 18080, or a free one where that is taken)")
    options = parser.parse_args()
    options.port = options.port or free_port(18080)
    folder = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="systole-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(options.build.resolve(), folder.resolve(), options.nodes, options.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    client = Client(options.port)
    status = 1
    try:
        begin = time.monotonic()
        print(f"Starting {options.nodes} nodes on this machine ...", flush=True)
        cluster.up()
        wait_for("an elected DC with all nodes online",
                 lambda: (lambda s: s and s[0] and len(s[2]) == options.nodes)(cluster.status()), 60)
        print(f"The cluster is up after {time.monotonic() - begin:.1f} s. Configuring a web server ...", flush=True)
        cluster.configure()
        wait_for("the web server's first answer", client.ask, 60)
        client.start()
        for _ in range(3):
            line(begin, cluster, client)
            time.sleep(1)

        def kill_node(pick):
            dc, where, _ = wait_for("a status", cluster.status, 20)
            victim = where if pick == "server" else dc
            cluster.local("kill", victim)
            return f"all processes of {victim} killed"

        def kill_service():
            _, where, _ = wait_for("a status", cluster.status, 20)
            pids = subprocess.run(["pgrep", "-f", f"http.server.*{options.port}"], capture_output=True, text=True).stdout.split()
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)
            return f"the server's process on {where} killed"

        results = [strike("node that runs it", lambda: kill_node("server"), cluster, client, begin),
                   strike("DC", lambda: kill_node("dc"), cluster, client, begin),
                   strike("service itself", kill_service, cluster, client, begin)]
        print("\nfault               requests lost   time without answer   last loss after the fault   recovered")
        for r in results:
            print(f"{r['fault']:<19} {r['lost']:>13}   {r['gap_s']:>17.2f} s   {r['after_s']:>23.2f} s   "
                  f"{'yes' if r['recovered'] else 'NO'}")
        status = 0 if all(r["recovered"] for r in results) else 1
        client.stop.set()
        if not options.exit:
            print(f"""
The cluster stays up until you press Ctrl-C. In another terminal, with
  export SYSTOLE_LOCAL_DIR={folder} PATH={cluster.bin}:$PATH
try
  systole --node n1 crm_mon
  systole --node n2 crm_resource --resource web --move
  systole local kill n3""", flush=True)
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        print()
    finally:
        client.stop.set()
        cluster.down()
        if not options.dir:
            shutil.rmtree(folder, ignore_errors=True)
    return status


sys.exit(main())
