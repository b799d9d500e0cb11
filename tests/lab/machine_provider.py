"""A provider whose machines are QEMU's: systole lab's HTTP API in front of ../shared/hosts/qemu-vm.

usage: machine_provider.py SYSTOLE_LAB TOKEN_FILE ADDRESS PORT LOG NAME=IP...     (in a host of ../shared/hosts)
"""
import importlib.machinery
import importlib.util
import subprocess
import sys
import time

TOOL = "/srv/tools/qemu-vm"
DISKS = "/srv/shared/machines"


class Machine:
    kind = "cluster"

    def __init__(self, name, address, note):
        self.name, self.address, self.note = name, address, note

    def pid(self):
        try:
            with open(f"/run/vm-{self.name}.pid", encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/cmdline", encoding="ascii") as words:
                return pid if "qemu-system" in words.read() else 0
        except (OSError, ValueError):
            return 0

    def host(self):
        return ""

    def on(self):
        if self.pid():
            return
        # The disk stays: a machine comes back with what it had.
        subprocess.run([TOOL, "up", self.name, self.address, "-d", DISKS, "-m", "512", "-u", "lab-node.service"], check=True,
                       stdout=subprocess.DEVNULL)
        self.note(f"{self.name} on")

    def off(self):
        pid = self.pid()
        if pid:
            subprocess.run([TOOL, "down", self.name], check=False, stdout=subprocess.DEVNULL)
        while self.is_running(pid):
            time.sleep(0.02)
        self.note(f"{self.name} off")

    @staticmethod
    def is_running(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False


class Machines:
    def __init__(self, log, addresses):
        self.log, self.addresses = log, addresses

    def names(self):
        return sorted(self.addresses)

    def node(self, name):
        return Machine(name, self.addresses[name], self.note)

    def note(self, text):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"{time.time():.3f} {text}\n")


def main():
    tool, token_file, address, port, log, *machines = sys.argv[1:]
    loader = importlib.machinery.SourceFileLoader("systole_lab", tool)
    lab = importlib.util.module_from_spec(importlib.util.spec_from_loader("systole_lab", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(lab)
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    lab.provider_of(Machines(log, dict(words.split("=") for words in machines)), token, (address, int(port))).serve_forever()


if __name__ == "__main__":
    main()
