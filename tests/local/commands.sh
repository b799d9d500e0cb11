#!/bin/sh
# The commands against a running cluster of the local engine: what they answer, and what they make the cluster do.
# usage: commands.sh PROGRAMS OCF_ROOT      (folder with systole, systole-core, crm_mon ...; folder with agents)
set -u
bin=$1
OCF_ROOT=$2
export OCF_ROOT
dir=$(mktemp -d)
failed=0
number=0

report() { # RESULT WHAT
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' "$dir/out"
        failed=1
    fi
}
# on NODE COMMAND...: as if on that node
on() {
    node=$1
    program=$2
    shift 2
    [ "$program" = sh ] || program=$bin/$program
    "$bin/systole" --node "$node" --dir "$dir/cluster" "$program" "$@"
}
# check WHAT NODE COMMAND...
check() {
    what=$1
    shift
    on "$@" >"$dir/out" 2>&1
    report $? "$what"
}
# says WHAT REGEX NODE COMMAND...: its output, on either stream, has the expression
says() {
    what=$1
    wanted=$2
    shift 2
    on "$@" >"$dir/out" 2>&1
    grep -qE -e "$wanted" "$dir/out"
    report $? "$what"
}
# exits WHAT STATUS NODE COMMAND...
exits() {
    what=$1
    wanted=$2
    shift 2
    on "$@" >"$dir/out" 2>&1
    status=$?
    echo "exit status $status instead of $wanted" >>"$dir/out"
    [ "$status" -eq "$wanted" ]
    report $? "$what"
}
# becomes WHAT REGEX NODE COMMAND...: at most ten seconds
becomes() {
    what=$1
    wanted=$2
    shift 2
    tries=0
    until on "$@" >"$dir/out" 2>&1 && grep -qE -e "$wanted" "$dir/out"; do
        tries=$((tries + 1))
        if [ $tries -ge 100 ]; then
            report 1 "$what"
            return
        fi
        sleep 0.1
    done
    report 0 "$what"
}
cleanup() {
    "$bin/systole" local down --dir "$dir/cluster" >/dev/null 2>&1
    rm -rf "$dir"
}
trap cleanup EXIT

"$bin/systole" local up --nodes 3 --dir "$dir/cluster" >"$dir/out" 2>&1
report $? "three nodes come up"
becomes "all are online" 'Online: \[ n1 n2 n3 \]' n1 crm_mon -1
becomes "there is a DC" 'Designated Controller is: n[123]' n1 crmadmin -D

# --- attributes ---
check "a cluster option is set" n1 crm_attribute -n fencing-enabled -v false
says "and shown" '^false$' n2 crm_attribute -n fencing-enabled -G -q
check "a lasting attribute" n1 crm_attribute -N n2 -n rack -v 7
says "is seen on another node" 'scope=nodes *name=rack value=7' n3 crm_attribute -N n2 -n rack -G
check "a transient attribute goes through the attribute manager" n1 crm_attribute -N n3 -n color -v red -l reboot
becomes "which has it" 'name="color" host="n3" value="red"' n2 attrd_updater -Q -n color -N n3
becomes "and writes it to the CIB" 'scope=status *name=color value=red' n1 crm_attribute -N n3 -n color -G -l reboot
check "it is deleted" n1 crm_attribute -N n3 -n color -D -l reboot
becomes "and gone from the CIB" 'gone' n1 sh -c "! '$bin/crm_attribute' -N n3 -n color -G -l reboot && echo gone"
check "without a node it is this one" n2 crm_attribute -N auto -n here -v yes -l reboot
becomes "n2, that is" 'name="here" host="n2" value="yes"' n1 attrd_updater -Q -n here -N n2
says "no standby yet" 'name=standby value=off' n1 crm_standby -N n3 -G
check "standby until it restarts" n1 crm_standby -N n3 -v on -l reboot
becomes "is in force" 'Node n3: standby' n1 crm_mon -1
check "standby is deleted, whatever its lifetime" n1 crm_standby -N n3 -D
becomes "and the node is back" 'Online: \[ n1 n2 n3 \]' n1 crm_mon -1

# --- resources ---
check "a resource" n1 cibadmin -C -o resources -X '<primitive id="d" class="ocf" provider="pacemaker" type="Dummy">
  <instance_attributes id="d-ia"><nvpair id="d-state" name="state" value="'"$dir"'/d.state"/></instance_attributes>
  <operations><op id="d-m" name="monitor" interval="1s"/></operations></primitive>'
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "and it runs" 'resource d is running on: n' n2 crm_resource -W -r d
place=$(on n1 crm_resource -W -r d 2>/dev/null | sed -n 's/.*: \(n[123]\).*/\1/p')
other=$([ "$place" = n2 ] && echo n3 || echo n2)
says "why" 'Resource d is running on host' n1 crm_resource -Y -r d -N "$place"
says "the digests of what it was started with" '\(all parameters\)' n1 crm_resource --digests -r d -N "$place"
check "it is moved" n1 crm_resource -M -r d -N "$other"
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "and it runs there" "resource d is running on: $other" n1 crm_resource -W -r d
check "the preference is cleared" n1 crm_resource -U -r d
check "it is banned" n1 crm_resource -B -r d -N "$other"
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "and it left" 'resource d is running on: n[123]' n1 crm_resource -W -r d
check "the ban is cleared" n1 crm_resource -U -r d
check "the cluster settles" n1 crm_resource --wait --timeout 30s
place=$(on n1 crm_resource -W -r d 2>/dev/null | sed -n 's/.*: \(n[123]\).*/\1/p')

# --- rules ---
check "a constraint with a rule" n1 cibadmin -C -o constraints -X '<rsc_location id="l" rsc="d">
  <rule id="l-rule" score="0"><date_expression id="l-date" operation="gt" start="2020-01-01"/></rule></rsc_location>'
says "the rule is looked at on the running cluster" 'Rule l-rule is still in effect' n2 crm_rule -c -r l-rule
exits "one that is not there" 105 n2 crm_rule -c -r nosuch
check "the constraint is removed" n1 cibadmin -D -o constraints -X '<rsc_location id="l"/>'

# --- a configuration in a file ---
on n1 cibadmin -Q >"$dir/cib.xml" 2>/dev/null
exec 7<"$dir/cib.xml" # as pcs does with its temporary files
CIB_file="$dir/cib.xml" check "a file is changed" n1 crm_attribute -n cluster-delay -v 61s
grep -q cluster-delay <&7
report $? "and whoever had it open sees it"
exec 7<&-

# --- failures ---
rm -f "$dir/d.state"
becomes "its failure is counted" "fail-count-d value=[1-9]" n1 crm_failcount -G -r d -N "$place"
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "the failure is shown" 'd 1s-interval monitor on n[123]' n1 crm_mon -1
check "cleaned up" n1 crm_resource -C -r d
becomes "the count is gone" "fail-count-d value=0" n1 crm_failcount -G -r d -N "$place"
becomes "and so is the failure" 'clean' n1 sh -c "! '$bin/crm_mon' -1 | grep -q 'Failed Resource Actions' && echo clean"
check "a failure is pretended" n1 crm_resource -F -r d -N "$place"
becomes "and counted" "fail-count-d#asyncmon_0 value=1" n1 crm_failcount -G -r d -n asyncmon -I 0 -N "$place"
check "crm_failcount forgets it" n1 crm_failcount -D -r d -N "$place"
becomes "which shows" "value=0" n1 crm_failcount -G -r d -N "$place"
check "refreshed" n1 crm_resource -R -r d
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "it runs still" 'resource d is running on: n[123]' n1 crm_resource -W -r d
check "everything is refreshed" n1 crm_resource -R
check "the cluster settles" n1 crm_resource --wait --timeout 30s
says "it runs still" 'resource d is running on: n[123]' n1 crm_resource -W -r d
check "restarted" n1 crm_resource --restart -r d --timeout 30s
says "and it runs again" 'resource d is running on: n[123]' n1 crm_resource -W -r d
exits "what isn't running can't be restarted" 105 n1 crm_resource --restart -r nosuch

# --- without the cluster's doing ---
says "the agent is asked directly" 'force-check.*returned 0' n1 crm_resource --force-check -r d
says "an agent's metadata" 'resource-agent name="Dummy"' n1 crm_resource --show-metadata ocf:pacemaker:Dummy
says "agents are listed" '^Stateful$' n1 crm_resource --list-agents ocf:pacemaker
says "JSON everywhere" '"code": "0"' n1 crm_resource -l --output-as=json

# --- alerts ---
cat >"$dir/alert" <<EOF
#!/bin/sh
echo "\$CRM_alert_kind \$CRM_alert_node \$CRM_alert_rsc \$CRM_alert_task \$CRM_alert_attribute_name=\$CRM_alert_attribute_value \$CRM_alert_desc to \$CRM_alert_recipient" >>"$dir/alerts"
EOF
chmod 755 "$dir/alert"
check "an alert is configured" n1 cibadmin -M --allow-create -o alerts --xml-text "<alerts><alert id='al' path='$dir/alert'>
    <select><select_nodes/><select_resources/><select_attributes><attribute id='al-a' name='mark'/></select_attributes></select>
    <recipient id='al-r' value='ops'/></alert></alerts>"
check "a selected attribute" n2 attrd_updater -n mark -U 5
check "another attribute" n2 attrd_updater -n other -U 5
becomes "agents are told of an attribute" 'attribute n2   mark=5  to ops' n1 sh -c "cat '$dir/alerts'"
check "a resource stops" n1 crm_resource -r d -m --set-parameter target-role -v Stopped
becomes "agents are told of an operation" 'resource n[123] d stop = OK to ops' n1 sh -c "cat '$dir/alerts'"
check "and starts" n1 crm_resource -r d -m --delete-parameter target-role
becomes "and of the next" 'resource n[123] d start = OK to ops' n1 sh -c "cat '$dir/alerts'"

# --- nodes ---
says "node names" '^n2$' n2 crm_node -n
says "the partition" '^n1 n2 n3$' n1 crm_node -p
exits "a node isn't forgotten just so" 64 n1 crm_node -R n3
"$bin/systole" local stop n3 --dir "$dir/cluster" >"$dir/out" 2>&1
report $? "n3 stops"
becomes "and is gone" 'OFFLINE: \[ n3 \]' n1 crm_mon -1
becomes "agents are told of a lost node" 'node n3   = lost to ops' n1 sh -c "cat '$dir/alerts'"
says "and not of what is not selected" 'none' n1 sh -c "! grep -q other '$dir/alerts' && echo none"
check "it is forgotten" n1 crm_node -R n3 --force
becomes "no node of that name is left" 'none' n1 sh -c "! '$bin/cibadmin' -Q | grep -q 'uname=\"n3\"' && echo none"

"$bin/systole" local down --dir "$dir/cluster" >"$dir/out" 2>&1
report $? "all stop in good order"
echo "1..$number"
exit $failed
