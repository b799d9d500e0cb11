#!/usr/bin/env python3
"""The disk of a running node is full: the cluster goes on, the log says what is not kept, and nothing is lost once there is room again.

usage: full_disk.py BUILD      one node of the local engine, its state on a small file system of a mount namespace of its own

Exit status 77: no such namespace can be had here; the line SKIP says why.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bad_input import Node, expect, until  # noqa: E402

SIZE = "24m"
DUMMY = '<primitive id="{}" class="ocf" provider="pacemaker" type="Dummy"/>'


def within_namespace():
    """Runs this script again where it may mount a file system."""
    words = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    tried = subprocess.run([*words, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"], capture_output=True, text=True)
    if tried.returncode != 0:
        print(f"SKIP full_disk: no mount namespace: {tried.stderr.strip()}")
        return 77
    return subprocess.run([*words, sys.executable, *sys.argv], env=dict(os.environ, FULL_DISK_WITHIN="1")).returncode


def fill(path):
    """Takes every byte that is left."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(65536)) == 65536:
            pass
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        while file.write(b"x") == 1:
            pass


def started(node, resource):
    return "is running on: n1" in node.run("crm_resource", "--locate", "-r", resource).stdout


def try_full_disk(node):
    state = node.folder / "cluster" / "n1"
    stored = state / "cib" / "cib.xml"
    node.run("cibadmin", "-C", "-o", "resources", "--xml-text", DUMMY.format("before"))
    until("the first resource runs", lambda: started(node, "before"))
    until("the configuration is on disk", lambda: 'id="before"' in stored.read_text())
    alive = node.processes()

    filler = node.folder / "cluster" / "filler"
    fill(filler)
    expect(node.run("cibadmin", "-C", "-o", "resources", "--xml-text", DUMMY.format("during")), 0)
    expect(node.run("crm_attribute", "-t", "crm_config", "-n", "while-full", "-v", "yes"), 0)
    until("the log says what could not be written", lambda: "could not be written" in node.log())
    assert "No space left on device" in node.log(), "the log does not say why"
    assert 'id="during"' not in stored.read_text(), "the disk was not full"
    assert 'id="before"' in stored.read_text(), "the stored configuration is damaged"
    expect(node.run("crm_attribute", "-t", "crm_config", "-n", "while-full", "-G", "-q"), 0, "yes")
    assert started(node, "before"), "the running resource is gone"

    filler.unlink()
    until("what could not be written is on disk", lambda: 'id="during"' in stored.read_text() and "while-full" in stored.read_text(), 90)
    node.run("crm_resource", "--cleanup")
    until("the second resource runs", lambda: started(node, "during"))
    assert "is on disk" in node.log(), "the log does not go on"
    assert node.processes() == alive, f"processes ended: before {alive}, now {node.processes()}"


def main():
    if "FULL_DISK_WITHIN" not in os.environ:
        return within_namespace()
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "cluster"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "none", place], check=True)
        node = Node(build, pathlib.Path(folder))
        try:
            node.local("up", "--nodes", "1")
            until("the node is online", lambda: "Online: [ n1 ]" in node.run("crm_mon", "-1").stdout)
            expect(node.run("crm_attribute", "-t", "crm_config", "-n", "stonith-enabled", "-v", "false"), 0)
            try_full_disk(node)
            print("ok - the cluster outlives a full disk and stores everything afterwards")
            return 0
        except (AssertionError, subprocess.TimeoutExpired) as fault:
            print(f"not ok - {fault}")
            print("".join(f"#   {line}\n" for line in node.log().splitlines()[-20:]), end="")
            return 1
        finally:
            subprocess.run([node.bin / "systole", "local", "down"], env=node.env, capture_output=True, timeout=120)
            subprocess.run(["umount", "-l", place])


if __name__ == "__main__":
    sys.exit(main())
