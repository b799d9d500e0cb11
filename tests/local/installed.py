#!/usr/bin/env python3
"""An installation under another prefix than the build was configured for: units start what is there, commands find what is theirs.

usage: installed.py BUILD
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PREFIX = "/opt/systole"


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    failed = 0
    with tempfile.TemporaryDirectory() as stage:
        subprocess.run(["cmake", "--install", build, "--prefix", PREFIX], env=dict(os.environ, DESTDIR=stage), check=True, stdout=subprocess.DEVNULL)
        here = pathlib.Path(stage + PREFIX)
        units = sorted((here / "lib/systemd/system").glob("*.service"))
        starts = [(unit, re.search(r"^ExecStart=(\S+)", unit.read_text(), re.M).group(1)) for unit in units]
        if {unit.name for unit in units} != {"pacemaker.service", "pacemaker_remote.service"}:
            print(f"not the units that are expected: {units}")
            failed += 1
        for unit, program in starts:
            if not program.startswith(PREFIX + "/") or not os.access(stage + program, os.X_OK):
                print(f"{unit.name} starts {program}, which is not there")
                failed += 1
        # Validation needs the schemas, which are looked for beside the command.
        command = next(here.glob("*/crm_verify"))
        cib = here / "cib.xml"
        cib.write_text('<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="0" num_updates="0"><configuration><crm_config/><nodes/>'
                       '<resources/><constraints/></configuration><status/></cib>')
        done = subprocess.run([command, "--xml-file", cib], capture_output=True, text=True, check=False)
        if "schema" in done.stderr.lower():
            print(f"crm_verify of the installation: {done.stderr}")
            failed += 1
    print("failed" if failed else "good")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
