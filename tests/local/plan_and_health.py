#!/usr/bin/env python3
"""`systole plan` as text, XML and JSON with its exit statuses, and what reports say about a node's health. No cluster is needed.

usage: plan_and_health.py BUILD
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

CIB = """<cib crm_feature_set="3.20.0" validate-with="pacemaker-4.0" admin_epoch="0" epoch="1" num_updates="0" have-quorum="true" dc-uuid="1">
 <configuration>
  <crm_config><cluster_property_set id="options">
    <nvpair id="fencing" name="fencing-enabled" value="false"/>
    <nvpair id="health" name="node-health-strategy" value="migrate-on-red"/>
  </cluster_property_set></crm_config>
  <nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes>
  <resources><primitive id="web" class="ocf" provider="pacemaker" type="Dummy"/></resources>
  <constraints/>
 </configuration>
 <status>
  <node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/>
  <node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member">
   <transient_attributes id="2"><instance_attributes id="t2"><nvpair id="h2" name="#health-disk" value="red"/></instance_attributes></transient_attributes>
  </node_state>
  <node_state id="3" uname="n3" in_ccm="false" crmd="offline" join="down" expected="down">
   <transient_attributes id="3"><instance_attributes id="t3"><nvpair id="h3" name="#health-disk" value="red"/></instance_attributes></transient_attributes>
  </node_state>
 </status>
</cib>
"""
SECOND = '<primitive id="db" class="ocf" provider="pacemaker" type="Dummy"/>'
failures = 0


def check(what, holds, shown):
    global failures
    print(f"{'ok' if holds else 'FAILED'}: {what}")
    if not holds:
        failures += 1
        print(shown)


def main():
    build = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "cib.xml")
        path.write_text(CIB)
        env = dict(os.environ, PCMK_schema_directory=str(build / "schemas"), LC_ALL="C")

        def run(program, *words):
            return subprocess.run([build / "bin" / program, "-x", path, *words], env=env, capture_output=True, text=True, timeout=60)

        add = ("--scope", "resources", "--create", SECOND)
        text = run("systole-plan", *add)
        check("an added resource is planned", text.returncode == 0 and "Because of the change, the cluster would" in text.stdout and
              "Start      db" in text.stdout, text)
        check("what is done anyway is told apart", "As without the change" in text.stdout and "Start      web" in text.stdout, text)

        plan = ET.fromstring(run("systole-plan", "--output-as=xml", *add).stdout).find(".//plan")
        changes = {(a.get("change"), a.get("text").split()[1]) for a in plan.findall("action")}
        check("the same as XML", changes == {("added", "db"), ("kept", "web")}, changes)

        data = json.loads(run("systole-plan", "--output-as=json", *add).stdout)
        check("the same as JSON", "Start      db" in json.dumps(data) and '"added"' in json.dumps(data), data)

        gone = run("systole-plan", "--scope", "resources", "--delete", '<primitive id="web"/>')
        check("a removed resource is not started", gone.returncode == 0 and "would no longer" in gone.stdout and
              "Start      web" in gone.stdout, gone)

        same = run("systole-plan", "--scope", "resources", "--modify", '<primitive id="web" description="the site"/>')
        check("a change without consequences", same.returncode == 0 and "nothing else than now" in same.stdout, same)
        check("the file is as it was", path.read_text() == CIB, path.read_text())

        twice = run("systole-plan", "--scope", "resources", "--create", '<primitive id="web" class="ocf" type="Dummy"/>')
        check("a change that is refused: 78 (invalid configuration)", twice.returncode == 78 and "refused" in twice.stderr, twice)
        broken = run("systole-plan", "--create", "<primitive")
        check("text that is no XML: 65 (invalid data)", broken.returncode == 65 and broken.stderr != "", broken)
        usage = run("systole-plan", "--no-such-option")
        check("an option that isn't there: 64 (usage)", usage.returncode == 64, usage)
        missing = subprocess.run([build / "bin" / "systole-plan", "-x", f"{folder}/none.xml"], env=env, capture_output=True, text=True)
        check("a file that isn't there: no plan", missing.returncode not in (0, 124) and missing.stdout == "" and "none.xml" in missing.stderr,
              missing)

        status = run("crm_simulate").stdout
        check("a node with bad health is told", "n2: online (health is RED)" in status, status)
        check("also when it is down", "n3: OFFLINE (health is RED)" in status, status)
        check("a healthy one says nothing about it", "Online: [ n1 ]" in status, status)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
