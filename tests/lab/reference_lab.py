"""A lab of the reference (../shared/reference) that runs this build: staging, bringing up, asking, judging.

The reference's own module for its benchmarks (bench/lab.py) does the work inside nodes; what is here knows about builds
of Systole and about what must never happen.
"""
import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zlib

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGES = {"corosync": "corosync", "crm_mon": "pacemaker-cli-utils", "pacemakerd": "pacemaker", "ip": "iproute2"}
NODES = ["n1", "n2", "n3"]


class Missing(Exception):
    """What this machine lacks for a lab, in words for the line that says why a test was skipped."""


class Broken(Exception):
    """Something that must hold does not."""


def reference():
    """The reference's folder. Raises Missing."""
    shared = pathlib.Path(os.environ.get("SYSTOLE_SHARED") or SOURCE.parent / "shared")
    if not (shared / "reference" / "cluster").exists():
        raise Missing("no ../shared/reference (SYSTOLE_SHARED can name another folder than ../shared)")
    return shared / "reference"


def check_machine():
    """Raises Missing unless a lab can be brought up here."""
    reference()
    if os.geteuid() != 0:
        raise Missing("a lab needs root")
    absent = sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")})
    if absent:
        raise Missing(f"not installed: {' '.join(absent)} (scripts/install-packages lab)")
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Missing(f"no namespaces here: {tried.stderr.strip()}")


def stage(build, folder, commands="debian"):
    """Installs `build` below `folder`; returns the path of the stack file. Raises Missing."""
    if any(folder.is_relative_to(place) for place in ("/tmp", "/run", "/dev/shm")):
        raise Missing(f"{folder} is not visible inside a node: choose a place outside of /tmp, /run and /dev/shm")
    env_file = reference() / "stacks" / "pacemaker.env"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = {"Unspecified": folder / "usr"}
    if commands == "own":
        parts["commands"] = folder / "commands" / "usr"
    for component, prefix in parts.items():
        done = subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix), "--component", component],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f"cmake --install {build}: {done.stderr.strip().splitlines()[-1:]}")
    shutil.copy(env_file, folder)
    stack = folder / "systole.env"
    settings = f"SYSTOLE_TREE={folder}\nSYSTOLE_COMMANDS={commands}\n"
    stack.write_text(settings + (SOURCE / "tests" / "lab" / "systole.env").read_text())
    return stack


def name_for(build, purpose="t"):
    """A lab's name that two checkouts do not share: they may be tested at the same time."""
    return f"{purpose}{zlib.crc32(str(build).encode()) & 0xffff:04x}"


def open_lab(name, stack):
    """The bench module's Lab for the lab `name`. The module keeps one name for a process."""
    os.environ["REFLAB"] = name
    folder = str(reference() / "bench")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    return importlib.import_module("lab").Lab(str(stack))


def cluster(*words, check=True):
    return importlib.import_module("lab").cluster(*words, check=check)


def until(what, condition, seconds, period=0.1):
    """The condition's value once it is true. Raises Broken after that many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Broken(f"not within {seconds} s: {what}")
        time.sleep(period)


# ---- Configuration --------------------------------------------------------------------------------------------------


def nvpairs(kind, owner, values):
    if not values:
        return ""
    inner = "".join(f'<nvpair id="{owner}-{kind[0]}-{k}" name="{k}" value="{v}"/>' for k, v in values.items())
    return f'<{kind} id="{owner}-{kind[0]}">{inner}</{kind}>'


def op(owner, name, interval="0s", timeout="20s", parameters=None, **more):
    extra = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in more.items())
    key = f"{owner}-{name}-{interval}"
    return (f'<op id="{key}" name="{name}" interval="{interval}" timeout="{timeout}"{extra}>'
            f'{nvpairs("instance_attributes", key, parameters or {})}</op>')


def primitive(name, agent, parameters=None, meta=None, operations=()):
    cls, provider, kind = agent.split(":")
    return (f'<primitive id="{name}" class="{cls}" provider="{provider}" type="{kind}">'
            f'{nvpairs("meta_attributes", name, meta or {})}{nvpairs("instance_attributes", name, parameters or {})}'
            f'<operations>{"".join(operations)}</operations></primitive>')


def clone(name, inner, **meta):
    return f'<clone id="{name}">{nvpairs("meta_attributes", name, {k.replace("_", "-"): v for k, v in meta.items()})}{inner}</clone>'


def group(name, *members):
    return f'<group id="{name}">{"".join(members)}</group>'


def located(resource, node, score):
    return f'<rsc_location id="loc-{resource}-{node}" rsc="{resource}" node="{node}" score="{score}"/>'


# ---- What ocf:lab:Probe and the power switch recorded ------------------------------------------------------------------


def activity(events, resource):
    """(node, from, to) for each time that the resource was active, or may have been: from the begin of its start to the
    end of a stop that succeeded, or to the moment its node had no power. `to` is None while it is active."""
    active, spans = {}, []
    for at, words in events:
        if words[0] == "node" and len(words) >= 3 and words[2] == "off":
            if words[1] in active:
                spans.append((words[1], active.pop(words[1]), at))
        elif len(words) >= 5 and words[3] == resource:
            node, phase, action, rc = words[0], words[1], words[2], words[4]
            if action == "start" and phase == "begin":
                active.setdefault(node, at)
            elif action == "stop" and phase == "end" and rc == "0" and node in active:
                spans.append((node, active.pop(node), at))
    return spans + [(node, since, None) for node, since in active.items()]


def check_single(events, resource):
    """Raises Broken if the resource was ever active on two nodes at once."""
    spans = sorted(activity(events, resource), key=lambda span: span[1])
    for (node, _, to), (other, since, _) in zip(spans, spans[1:]):
        if to is None or to > since:
            raise Broken(f"{resource} began to start on {other} at {since:.3f} while it was active on {node}"
                         f" (until {'now' if to is None else f'{to:.3f}'})")
    return spans


def actions(events, resource, *names):
    """(time, node, action) of all actions of these names that were begun."""
    return [(at, words[0], words[2]) for at, words in events
            if len(words) >= 5 and words[1] == "begin" and words[3] == resource and words[2] in names]
