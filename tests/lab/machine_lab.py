"""QEMU machines as cluster nodes, all on one host of ../shared/hosts: systemd, Corosync and this build's cluster in each of them.

A provider's HTTP API switches them; the cluster asks it through the fence agent fence_http.
"""
import pathlib
import secrets
import shlex
import shutil

from host_lab import ADDRESS, Hosts, must
from reference_lab import Broken, nvpairs, op, until

HOST = "h1"
PORT = 8088
ASK = ('import sys, urllib.request as u; '
       'print(u.urlopen(u.Request(sys.argv[2], b"", {"Authorization": "Bearer " + sys.argv[3]}, method=sys.argv[1]), timeout=90).read().decode())')
# systemd wants one unit by name, and that one wants these.
UNIT = """[Unit]
Wants=corosync.service pacemaker.service

[Service]
Type=oneshot
ExecStart=/bin/true
RemainAfterExit=yes
"""


def corosync_conf(addresses):
    """Emulated machines stop for seconds while others boot beside them; the token waits for that."""
    nodes = "".join(f"    node {{\n        nodeid: {number}\n        name: {name}\n        ring0_addr: {address}\n    }}\n"
                    for number, (name, address) in enumerate(addresses.items(), 1))
    return ("totem {\n    version: 2\n    cluster_name: machines\n    transport: knet\n    crypto_cipher: none\n"
            "    crypto_hash: none\n    token: 10000\n}\nnodelist {\n" + nodes + "}\nquorum {\n    provider: corosync_votequorum\n}\n"
            "logging {\n    to_syslog: no\n    to_logfile: yes\n    logfile: /var/log/corosync/corosync.log\n}\n")


class Machines(Hosts):
    """The same questions as of hosts, put to the machines."""

    def __init__(self, build, tree=None, count=3):
        super().__init__(build, tree)
        self.addresses = {f"n{number}": f"{ADDRESS}{40 + number}" for number in range(1, count + 1)}
        self.token = secrets.token_urlsafe(32)

    # ---- Up and down

    def image(self):
        """The disk that they boot from: Debian's packages, over them the build, over that the cluster's configuration."""
        own, whole = self.dir / "machine-parts", self.dir / "machine-root"
        shutil.rmtree(own, ignore_errors=True)
        names = "".join(f"{address} {name}\n" for name, address in self.addresses.items())
        for place, text, mode in (("etc/corosync/corosync.conf", corosync_conf(self.addresses), 0o644),
                                  ("etc/hosts", "127.0.0.1 localhost\n" + names, 0o644),
                                  ("etc/pacemaker/provider.token", self.token, 0o600),
                                  ("usr/lib/systemd/system/lab-node.service", UNIT, 0o644)):
            path = own / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        whole.mkdir(exist_ok=True)
        must("mount", "-t", "overlay", "-o", f"ro,lowerdir={own}:{self.tree}:{self.dir}/images/vm", "systole-machine", whole)
        try:
            self.tool("qemu-vm", "image", "--root", whole, "--force", seconds=600)
        finally:
            must("umount", whole)

    def up(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.images("host", "vm")
        self.down()
        self.stage()
        self.image()
        self.tool("lab-host", "up", HOST, "--image", f"{self.tree}:{self.dir}/images/host", "--ip", ADDRESS + "1")
        here = pathlib.Path(__file__).resolve().parent
        shutil.rmtree(self.shared / "machines", ignore_errors=True)
        (self.shared / "machines").mkdir(parents=True)
        for name in ("log", "token", "machine_provider.py", "provider.log"):
            (self.shared / name).unlink(missing_ok=True)
        shutil.copy2(here / "machine_provider.py", self.shared)
        (self.shared / "token").write_text(self.token)
        places = " ".join(f"{name}={address}" for name, address in self.addresses.items())
        self.host_shell("mkdir -p /etc/pacemaker && head -c 256 /dev/urandom >/etc/pacemaker/authkey && "
                        f"setsid python3 /srv/shared/machine_provider.py /usr/bin/systole-lab /srv/shared/token {ADDRESS}1 {PORT} "
                        f"/srv/shared/log {places} </dev/null >/srv/shared/provider.log 2>&1 &")
        until("the provider answers", lambda: "n1" in self.ask("GET", "machines"), 30)
        for name in self.addresses:
            self.ask("POST", f"machines/{name}/on")

    def configure(self):
        # What a user of machines at a provider writes: one agent for all of them.
        values = {"provider": "custom", "url": f"http://{ADDRESS}1:{PORT}", "token_file": "/etc/pacemaker/provider.token",
                  "pcmk_host_list": " ".join(self.addresses), "pcmk_host_check": "static-list", "power_timeout": "60"}
        self.add("n1", '<primitive id="provider" class="stonith" type="fence_http">' + nvpairs("instance_attributes", "provider", values) +
                 "<operations>" + op("provider", "monitor", "120s", "60s") + op("provider", "start", timeout="60s") + "</operations></primitive>")
        self.run("n1", "crm_attribute", "--name", "stonith-timeout", "--update", "120s")

    # ---- Asking

    def ask(self, method, path):
        """What the provider's API answers, "" if nothing does."""
        return self.tool("lab-host", "exec", HOST, "python3", "-c", ASK, method, f"http://{ADDRESS}1:{PORT}/{path}", self.token, check=False)

    def host_shell(self, text, check=True):
        return self.tool("lab-host", "exec", HOST, "sh", "-c", text, check=check)

    def run(self, host, *words, check=True, seconds=60):
        return self.shell(host, shlex.join(map(str, words)), check, seconds)

    def shell(self, host, text, check=True, seconds=60):
        """In a machine, through its serial line; a line of it that no shell would read as one is a mistake."""
        if "\n" in text:
            raise Broken(f"more than a line for {host}: {text[:100]}")
        return self.tool("lab-host", "exec", HOST, "env", f"TIMEOUT={seconds}", "/srv/tools/qemu-vm", "exec", host, text, check=check,
                         seconds=seconds + 30)

    def alive(self):
        return [name for name in self.addresses
                if self.host_shell(f"[ -e /run/vm-{name}.pid ] && kill -0 $(cat /run/vm-{name}.pid) && echo yes", check=False).strip() == "yes"]

    def active(self, resource):
        """The machines that have the resource's own file."""
        return [name for name in self.alive()
                if "yes" in self.shell(name, f"ls /run/Dummy-{resource}.state >/dev/null 2>&1 && echo yes", check=False, seconds=20).split()]

    def dc(self):
        root = self.mon(self.one())
        return root.find(".//current_dc").get("name") if root is not None else ""

    def powered_on_again(self, name, before):
        """The provider was asked for it since, and it has power: of a machine that is off already an agent only asks for "on"."""
        return name in self.switched()[before:] and name in self.alive()

    def switched(self):
        """Names of the machines that the provider switched on or off, in order."""
        log = self.shared / "log"
        words = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [word[1] for word in words if len(word) == 3 and word[2] in ("on", "off")]

    # ---- Doing

    def add(self, host, text, scope="resources"):
        self.run(host, "cibadmin", "--modify", "--allow-create", "--scope", scope, "--xml-text", f"<{scope}>{text}</{scope}>")

    def crash(self, host):
        """The machine is gone without a word, and the provider doesn't know it."""
        self.host_shell(f"kill -9 $(cat /run/vm-{host}.pid)")
