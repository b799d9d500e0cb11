"""Hosts of ../shared/hosts with this build's cluster on them: machines that carry containers and virtual machines as real ones do.

Below it, for comparison, Debian's cluster can run on the same hosts.
"""
import fcntl
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

from reference_lab import SOURCE, Broken, Missing, until

NAMES = ["h1", "h2", "h3"]
ADDRESS = "10.99.0."
# Of images that mk-rootfs doesn't know.
PACKAGES = {"docker": ("--include", "docker.io,iptables")}
ONBOOT = "/srv/tools/lab-host _libvirt; /srv/tools/lab-cluster _start"
# Where a resource's own file is: here, or in a container on this host. One line each: the container's name, or "-".
SEEK = r"""
ls /run/Dummy-{0}.state >/dev/null 2>&1 && echo -
for file in /run/libvirt/lxc/*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file") && set -- $(cat /proc/$pid/task/$pid/children 2>/dev/null)
    [ -n "$1" ] || continue
    name=${{file##*/}}
    nsenter -t $1 -m -p -- sh -c 'ls /run/Dummy-{0}.state' >/dev/null 2>&1 && echo ${{name%.pid}}
done
for file in /run/vm-*.sh; do
    [ -e "$file" ] || continue
    name=${{file#/run/vm-}} && name=${{name%.sh}}
    TIMEOUT=10 /srv/tools/qemu-vm exec $name 'ls /run/Dummy-{0}.state' >/dev/null 2>&1 && echo $name
done
for tool in podman docker; do
    command -v $tool >/dev/null || continue
    for name in $($tool ps --format '{{{{.Names}}}}' 2>/dev/null); do
        $tool exec $name sh -c 'ls /run/Dummy-{0}.state /run/Dummy-{0}:*.state 2>/dev/null | grep -q .' && echo $name
    done
done
true
"""


def tools():
    """The folder of lab-host. Raises Missing."""
    shared = pathlib.Path(os.environ.get("SYSTOLE_SHARED") or SOURCE.parent / "shared")
    if not (shared / "hosts" / "lab-host").exists():
        raise Missing("no ../shared/hosts (SYSTOLE_SHARED can name another folder than ../shared)")
    return shared / "hosts"


def check_machine():
    """Raises Missing unless hosts can be brought up here."""
    tools()
    if os.geteuid() != 0:
        raise Missing("a lab needs root")
    absent = [program for program in ("mmdebstrap", "ip", "unshare") if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if absent:
        raise Missing(f"not installed: {' '.join(absent)} (apt-get install mmdebstrap iproute2 util-linux)")
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--cgroup", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Missing(f"no namespaces here: {tried.stderr.strip()}")


def must(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{words[0]}: {done.stderr.strip()[-300:]}")


class Hosts:
    """Three hosts, each with libvirt and podman, in one cluster (of this build, or Debian's); a power switch fences them."""

    def __init__(self, build, tree=None, manager="own"):
        self.tools = tools()
        self.build, self.given, self.manager = build, tree, manager
        self.dir = pathlib.Path(os.environ.get("LAB") or "/var/tmp/halab")
        self.environment = dict(os.environ, LAB=str(self.dir))
        self.tree = self.dir / "systole"
        self.shared = self.dir / "shared"
        self.power = None

    def tool(self, name, *words, check=True, seconds=180):
        """A script of ../shared/hosts. What it starts must not hold a pipe of ours, so its output goes to a file."""
        with open(self.dir / f"output.{os.getpid()}", "w+", encoding="utf-8") as out:
            try:
                done = subprocess.run([self.tools / name, *map(str, words)], stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.STDOUT, env=self.environment, timeout=seconds, check=False)
            except subprocess.TimeoutExpired:
                raise Broken(f"{name} {' '.join(map(str, words))[:200]}: no end after {seconds} s") from None
            out.seek(0)
            text = out.read()
        if check and done.returncode != 0:
            raise Broken(f"{name} {' '.join(map(str, words))[:200]}: {text.strip()[-500:]}")
        return text

    def run(self, host, *words, check=True, seconds=60):
        return self.tool("lab-host", "exec", host, *words, check=check, seconds=seconds)

    def shell(self, host, text, check=True, seconds=60):
        return self.run(host, "sh", "-c", text, check=check, seconds=seconds)

    # ---- Up and down

    def images(self, *kinds):
        """Root file systems, built once; two runs must not build the same at once."""
        (self.dir / "images").mkdir(parents=True, exist_ok=True)
        with open(self.dir / "images.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for kind in kinds:
                self.tool("mk-rootfs", kind, *PACKAGES.get(kind, ()), seconds=900)

    def stage(self):
        shutil.rmtree(self.tree, ignore_errors=True)
        if self.manager == "debian":
            (self.tree / "usr/bin").mkdir(parents=True)
            shutil.copy2(SOURCE / "lab" / "systole-guests", self.tree / "usr/bin")
            return
        if self.given:
            shutil.copytree(self.given, self.tree, symlinks=True)
            return
        done = subprocess.run(["cmake", "--install", self.build, "--prefix", "/usr", "--component", "Unspecified"],
                              env=dict(os.environ, DESTDIR=str(self.tree)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"cmake --install: {done.stderr.strip().splitlines()[-1:]}")

    def up(self, below=""):
        """`below`: an image, made by mk-rootfs, whose files the hosts have besides their own."""
        self.dir.mkdir(parents=True, exist_ok=True)
        self.images("host", *filter(None, [below]))
        self.down()
        self.stage()
        image = f"{self.tree}:{self.dir}/images/host" + (f":{self.dir}/images/{below}" if below else "")
        for number, name in enumerate(NAMES, 1):
            self.tool("lab-host", "up", name, "--image", image, "--ip", f"{ADDRESS}{number}", "--reboot")
            self.tool("lab-host", "libvirt", name)
            self.boots_with(name, ONBOOT)
        with open(self.dir / "powerd.log", "w", encoding="utf-8") as log:
            self.power = subprocess.Popen([self.tools / "lab-host", "powerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=self.environment, start_new_session=True)
        (self.dir / "powerd.pid").write_text(str(self.power.pid))
        self.tool("lab-cluster", "up", *NAMES)
        self.wait_online(*NAMES)
        self.add("h1", '<primitive id="fence" class="stonith" type="fence_lab"><operations>'
                       '<op id="fence-monitor" name="monitor" interval="60s" timeout="20s"/></operations></primitive>')
        until("fencing runs", lambda: "fence" in self.run(self.one(), "crm_mon", "-1", check=False), 30)

    def boots_with(self, host, commands):
        """What is run when its power comes back, instead of what was said before."""
        with open(self.dir / "hosts" / host / "conf", "a", encoding="utf-8") as conf:
            conf.write(f"ONBOOT={shlex.quote(commands)}\n")

    def down(self):
        # One that a kept lab left behind would take half of the next one's requests.
        record = self.dir / "powerd.pid"
        pid = int(record.read_text()) if record.exists() else 0
        if pid and pathlib.Path(f"/proc/{pid}/cmdline").exists() and "powerd" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            os.killpg(pid, signal.SIGTERM)
        if self.power is not None:
            self.power.wait()
            self.power = None
        record.unlink(missing_ok=True)
        self.tool("lab-host", "down-all", check=False)
        shutil.rmtree(self.shared / "power", ignore_errors=True)

    # ---- Asking

    def alive(self):
        lines = [line.split() for line in self.tool("lab-host", "list").splitlines()]
        return [words[0] for words in lines if len(words) > 1 and words[1] == "up"]

    def one(self):
        """A host that is a member of the cluster and knows its DC."""
        def member():
            for host in self.alive():
                root = self.mon(host)
                known = root is not None and root.find(".//current_dc[@present='true']") is not None
                if known and root.find(f"./nodes/node[@name='{host}'][@online='true'][@pending='false']") is not None:
                    return host
            return None
        return until("a host is a member of the cluster", member, 60)

    def mon(self, host):
        """What crm_mon says there, None if it says nothing."""
        try:
            return ElementTree.fromstring(self.run(host, "crm_mon", "-1", "--output-as=xml", check=False, seconds=30))
        except (ElementTree.ParseError, Broken):
            return None

    def status(self):
        """All nodes' names -> the words that crm_mon has for them; the first host that knows a DC is believed."""
        for host in self.alive():
            root = self.mon(host)
            if root is None or root.find(".//current_dc[@present='true']") is None:
                continue
            words = ("online", "standby", "maintenance", "pending", "unclean")
            return {node.get("name"): [word for word in words if node.get(word) == "true"] for node in root.iterfind("./nodes/node")}
        return {}

    def wait_online(self, *names, seconds=120):
        def all_are():
            status = self.status()
            return all(status.get(name) == ["online"] for name in names)
        until(f"{' '.join(names)} online", all_are, seconds, 0.5)

    def where(self, resource):
        """The nodes that the cluster names for a resource."""
        out = self.run(self.one(), "crm_resource", "--locate", "--resource", resource, check=False)
        return sorted(line.split()[-1] for line in out.splitlines() if "is running on" in line)

    def active(self, resource):
        """(host, container or "-") wherever the resource's own file is, whatever the cluster believes."""
        found = []
        for host in self.alive():
            names = self.shell(host, SEEK.format(resource), check=False).split()
            found += sorted({(host, name) for name in names})
        return found

    def switched(self):
        """Lines of the power switch's log that ended a host's power."""
        log = self.shared / "power" / "log"
        text = log.read_text() if log.exists() else ""
        return [line for line in text.splitlines() if line.split()[1] in ("off", "reboot")]

    # ---- Doing

    def add(self, host, text, scope="resources"):
        place = self.shared / "add.xml"
        place.write_text(f"<{scope}>{text}</{scope}>")
        self.run(host, "cibadmin", "--modify", "--allow-create", "--scope", scope, "--xml-file", "/srv/shared/add.xml")

    def crash(self, host):
        """A power cut. The cable goes with it, as the peers would see it."""
        self.tool("lab-host", "crash", host)

    def settle(self, seconds=90):
        """Until the cluster has nothing left to do."""
        self.run(self.one(), "crm_resource", "--wait", "--timeout", str(seconds), check=False, seconds=seconds + 30)
