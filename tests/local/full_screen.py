#!/usr/bin/env python3
"""crm_mon on a terminal: it follows the cluster and its keys change what it shows.

usage: full_screen.py BUILD      on a cluster of one node of the local engine; no root
"""
import contextlib
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bad_input import Node, until  # noqa: E402

CLEAR = b"\x1b[2J"


class Screen:
    """A crm_mon on a terminal of its own."""

    def __init__(self, node):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({key: str(value) for key, value in node.env.items()}, TERM="xterm")
            os.execv(node.bin / "systole", ["systole", "--node", "n1", "crm_mon"])
        self.bytes = b""

    def read(self):
        """What is on the screen now, without the sequences that move the cursor."""
        with contextlib.suppress(OSError):  # the other end is closed
            while select.select([self.fd], [], [], 0.05)[0]:
                self.bytes += os.read(self.fd, 65536)
        return re.sub(rb"\x1b[\[(][0-9;?]*[a-zA-Z]", b"", self.bytes.rsplit(CLEAR, 1)[-1]).decode(errors="replace")

    def press(self, key):
        os.write(self.fd, key.encode())

    def ended(self):
        self.read()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else (os.waitstatus_to_exitcode(status),)


def try_keys(node):
    screen = Screen(node)
    until("the cluster is shown", lambda: "Online: [ n1 ]" in screen.read())
    node.run("crm_standby", "-N", "n1", "-v", "on")
    until("a change is shown", lambda: "Node n1: standby" in screen.read())
    screen.press("n")
    until("resources are grouped by node", lambda: "Node n1: standby:" in screen.read())
    screen.press("?")
    until("the keys are listed, with a mark at what is on", lambda: "* n: \tGroup resources by node" in screen.read().replace("\r", ""))
    screen.press("n")
    until("a key works there too", lambda: "  n: \tGroup resources by node" in screen.read().replace("\r", ""))
    screen.press(" ")
    until("any other key leads back", lambda: "Cluster Summary" in screen.read())
    screen.press("q")
    code = until("q ends it", screen.ended)
    assert code == (0,), f"exit status {code}"


def main():
    try:
        for end in os.openpty():
            os.close(end)
    except OSError as error:
        print(f"SKIP full_screen: no terminal can be made here: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        node = Node(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder))
        try:
            node.local("up", "--nodes", "1")
            until("the node is online", lambda: "Online: [ n1 ]" in node.run("crm_mon", "-1").stdout)
            try_keys(node)
            print("ok - crm_mon on a terminal follows the cluster and its keys work")
            return 0
        except (AssertionError, subprocess.TimeoutExpired) as fault:
            print(f"not ok - {fault}")
            return 1
        finally:
            subprocess.run([node.bin / "systole", "local", "down"], env=node.env, capture_output=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
