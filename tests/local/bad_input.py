#!/usr/bin/env python3
"""Bad input on a running node: a clear error, nothing changed or lost, and the node stays up.

usage: bad_input.py BUILD      on a cluster of one node of the local engine; no root

CIBs that are not well-formed or not valid, agents that are not there, that flood their output or leave their children behind,
and messages to the IPC services with headers and contents of any kind (seeded, so a run can be repeated).
"""
import contextlib
import ctypes
import ctypes.util
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

SEED = 7
MESSAGES = 400
SERVICES = ["cib_ro", "cib_rw", "cib_shm", "attrd", "stonith-ng", "lrmd", "crmd", "pacemakerd"]
FLOOD = """#!/bin/sh
case $1 in
    meta-data) echo '<resource-agent name="Flood" version="1"><actions><action name="start"/></actions></resource-agent>' ;;
    start) head -c 64000000 /dev/zero | tr '\\0' x; head -c 64000000 /dev/zero | tr '\\0' '\\n' >&2; : >"$STATE" ;;
    stop) rm -f "$STATE" ;;
    monitor) [ -e "$STATE" ] && exit 0; exit 7 ;;
esac
exit 0
"""


class Node:
    def __init__(self, build, folder):
        self.bin, self.folder = build / "bin", folder
        ocf = folder / "ocf"
        (ocf / "resource.d" / "test").mkdir(parents=True)
        (ocf / "resource.d" / "pacemaker").symlink_to(build / "ocf" / "resource.d" / "pacemaker")
        (ocf / "lib").symlink_to(build / "ocf" / "lib")
        agent = ocf / "resource.d" / "test" / "Flood"
        agent.write_text(FLOOD.replace("$STATE", str(folder / "flooded")))
        agent.chmod(0o755)
        self.env = dict(os.environ, OCF_ROOT=str(ocf), SYSTOLE_LOCAL_DIR=str(folder / "cluster"), SYSTOLE_SCHEMAS=str(build / "schemas"),
                        PCMK_schema_directory=str(build / "schemas"), PATH=f"{self.bin}:{os.environ['PATH']}")

    def local(self, *words):
        subprocess.run([self.bin / "systole", "local", *words], env=self.env, check=True, capture_output=True, timeout=60)

    def run(self, *words, text=None):
        return subprocess.run([self.bin / "systole", "--node", "n1", *words], env=self.env, capture_output=True, text=True,
                              timeout=60, input=text)

    def configuration(self):
        return self.run("cibadmin", "-Q", "-o", "configuration").stdout

    def processes(self):
        """{program: pid}"""
        found = {}
        mark = f"SYSTOLE_STATE_DIR={self.folder}/cluster/n1".encode()
        for place in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if place.name.isdigit() and mark in (place / "environ").read_bytes().split(b"\0"):
                    found[(place / "comm").read_text().strip()] = int(place.name)
        return {name: pid for name, pid in found.items() if name in ("pacemakerd", "systole-core", "systole-execd")}

    def log(self):
        return (self.folder / "cluster" / "n1" / "log" / "pacemaker.log").read_text(errors="replace")


def until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
    return value


def expect(done, code, *words):
    said = done.stdout + done.stderr
    assert done.returncode == code, f"{done.args[3:]}: status {done.returncode}, not {code}: {said}"
    for word in words:
        assert word in said, f"{done.args[3:]}: nothing about '{word}' in: {said}"


# ---- What is tried ----------------------------------------------------------------------------------------------------------


def bad_configuration(node):
    """A CIB that is not well-formed or not valid is refused, and the one in force stays."""
    before = node.configuration()
    broken = node.folder / "broken.xml"
    broken.write_text("<resources><primitive id='x'")
    assert node.run("cibadmin", "--replace", "-o", "resources", "--xml-file", str(broken)).returncode != 0
    invalid = ['<primitive id="x" klass="ocf" type="y"/>', '<primitive id="x"/>', '<nonsense/>']
    for text in invalid:
        expect(node.run("cibadmin", "--create", "-o", "resources", "--xml-text", text), 78, "schema")
    assert node.run("cibadmin", "--replace", "--xml-text", "<nonsense/>").returncode != 0
    assert node.run("cibadmin", "--replace", "--xml-file", "/nonexistent").returncode != 0
    assert node.configuration() == before, "a refused change left traces"


def unknown_agent(node):
    """A resource whose agent does not exist is not started, and the log says why; everything else goes on."""
    node.run("cibadmin", "-C", "-o", "resources", "--xml-text",
             '<primitive id="none" class="ocf" provider="test" type="NoSuchAgent"/>')
    until("the log says it", lambda: "Resource agent ocf:test:NoSuchAgent is not installed" in node.log())
    assert "running on" not in node.run("crm_resource", "--locate", "-r", "none").stdout
    node.run("cibadmin", "-D", "--xml-text", '<primitive id="none"/>')


def flooding_agent(node):
    """An agent that writes 128 MB is run to its end, and what it wrote takes no memory to speak of."""
    pid = node.processes()["systole-execd"]
    node.run("cibadmin", "-C", "-o", "resources", "--xml-text", '<primitive id="flood" class="ocf" provider="test" type="Flood"/>')
    until("it runs", lambda: "Started" in node.run("crm_resource", "--locate", "-r", "flood").stdout
          or "is running on" in node.run("crm_resource", "--locate", "-r", "flood").stdout)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    assert peak < 64 * 1024, f"the executor used {peak} KiB"


def no_schemas(node):
    """A core that cannot read its schemas says where it looked and ends for good; it does not join and rejoin for ever."""
    empty = node.folder / "no-schemas"
    empty.mkdir()
    log = node.folder / "no-schemas.log"
    done = subprocess.run([node.bin / "systole-core"], capture_output=True, text=True, timeout=60,
                          env=dict(node.env, PCMK_schema_directory=str(empty), PCMK_logfile=str(log), SYSTOLE_ENGINE="local"))
    said = done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    assert done.returncode == 100, f"exit status {done.returncode}, wanted 100: {said}"
    assert str(empty) in said and "schema" in said, f"nothing about {empty} in: {said}"


class Header(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("size", ctypes.c_int32)]


def mutated(chance, good):
    """A message as a broken or hostile client may send it: (what the header says, bytes)."""
    kind = chance.randrange(6)
    if kind == 0:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(0, 200)))
    if kind == 1:  # sizes that lie
        size = chance.choice([0, 1, 2 ** 16, 2 ** 31 - 1, 2 ** 32 - 1])
        return struct.pack("<IIII", chance.choice([0, 1, 0x100, 0xffffffff]), size, chance.choice([0, size]), 1) + good
    if kind == 2:  # says that it is compressed
        return struct.pack("<IIII", 0, chance.choice([len(good), 2 ** 30]), len(good), 1) + good
    if kind == 3:  # XML that is cut off
        return struct.pack("<IIII", 1, len(good), 0, 1) + good[:chance.randrange(len(good))]
    if kind == 4:  # a few bytes differ
        text = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        return struct.pack("<IIII", 1, len(text), 0, 1) + bytes(text)
    text = b"<a>" * chance.randrange(1, 3000)  # deep
    return struct.pack("<IIII", 1, len(text), 0, chance.randrange(256)) + text


def bad_messages(node):
    """Whatever comes over the IPC sockets, the same processes answer afterwards."""
    name = ctypes.util.find_library("qb") or "libqb.so.100"
    qb = ctypes.CDLL(name, use_errno=True)
    qb.qb_ipcc_connect.restype = ctypes.c_void_p
    qb.qb_ipcc_connect.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    qb.qb_ipcc_send.restype = ctypes.c_ssize_t
    qb.qb_ipcc_send.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    qb.qb_ipcc_disconnect.argtypes = [ctypes.c_void_p]
    prefix = node.run("sh", "-c", "printf %s \"$SYSTOLE_IPC_PREFIX\"").stdout
    before = node.configuration()
    alive = node.processes()
    chance = random.Random(SEED)
    good = [b'<cib_command t="cib" cib_op="cib_query" cib_callopt="0" cib_callid="1"/>',
            b'<lrmd_command t="lrmd" lrmd_op="register" lrmd_clientname="x" lrmd_protocol_version="1.1"/>',
            b'<stonith_command t="stonith-ng" st_op="st_query" st_callopt="4096" st_callid="2"><st_device_id/></stonith_command>',
            b'<attrs t="attrd" src="x" task="query" attr_name="y" attr_is_remote="0"/>',
            b'<create_request_adv origin="x" t="crmd" subt="request" crm_task="ping" crm_sys_to="crmd" crm_sys_from="x"/>']
    for service in SERVICES:
        for _ in range(MESSAGES // len(SERVICES)):
            connection = qb.qb_ipcc_connect((prefix + service).encode(), 128 * 1024)
            assert connection, f"{service} takes no connection any more"
            for _ in range(chance.randrange(1, 4)):
                body = mutated(chance, chance.choice(good))
                size = 8 + len(body)
                told = chance.choice([size, size, size, 0, 8, 7, -1, 2 ** 31 - 1, size * 2])
                message = ctypes.create_string_buffer(struct.pack("<ii", chance.choice([0, 1, -1, -2, -3, 12345]), told) + body, size)
                qb.qb_ipcc_send(connection, message, size)
            qb.qb_ipcc_disconnect(connection)
    assert node.processes() == alive, f"before {alive}, now {node.processes()}"
    until("the node answers", lambda: "Online: [ n1 ]" in node.run("crm_mon", "-1").stdout)
    assert node.configuration() == before, "a bad message changed the configuration"


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        node = Node(build, pathlib.Path(folder))
        try:
            node.local("up", "--nodes", "1")
            until("the node is online", lambda: "Online: [ n1 ]" in node.run("crm_mon", "-1").stdout)
            node.run("crm_attribute", "-t", "crm_config", "-n", "stonith-enabled", "-v", "false")
            for each in (bad_configuration, unknown_agent, flooding_agent, no_schemas, bad_messages):
                alive = node.processes()
                try:
                    each(node)
                    assert node.processes() == alive, f"processes ended: before {alive}, now {node.processes()}"
                    print(f"ok - {each.__doc__}", flush=True)
                except (AssertionError, subprocess.TimeoutExpired) as fault:
                    bad += 1
                    print(f"not ok - {each.__doc__}\n#   {fault}", flush=True)
                    print("".join(f"#   {line}\n" for line in node.log().splitlines()[-20:]), end="")
        finally:
            subprocess.run([node.bin / "systole", "local", "down"], env=node.env, capture_output=True, timeout=120)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
