#!/bin/sh
# An executor that is killed in the middle of an action leaves no agent behind that runs beside the next one.
# usage: executor_killed.sh PROGRAMS OCF_ROOT      (folder with systole, systole-core, crm_mon ...; folder with agents)
set -u
bin=$1
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
check() { # WHAT COMMAND...
    what=$1
    shift
    "$@" >"$dir/out" 2>&1
    report $? "$what"
}
# until_true COMMAND...: at most half a minute
until_true() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || return 1
        sleep 0.1
    done
}
on() { # PROGRAM...: on the node
    program=$1
    shift
    "$bin/systole" --node n1 --dir "$dir/cluster" "$bin/$program" "$@"
}
# the node's process of a daemon
process_of() {
    for proc in /proc/[0-9]*; do
        [ "$(cat "$proc/comm" 2>/dev/null)" = "$1" ] || continue
        tr '\0' '\n' <"$proc/environ" 2>/dev/null | grep -qx "SYSTOLE_STATE_DIR=$dir/cluster/n1" && basename "$proc"
    done
}
replaced() {
    now=$(process_of systole-execd)
    [ -n "$now" ] && [ "$now" != "$execd" ]
}
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*[ZX]' "/proc/$1/status"; }
has_dc() { on crmadmin -D 2>/dev/null | grep -q 'is: n1'; }
runs() { on crm_resource -W -r slow 2>/dev/null | grep -q 'running on: n1'; }
cleanup() {
    "$bin/systole" local down --dir "$dir/cluster" >/dev/null 2>&1
    rm -rf "$dir"
}
trap cleanup EXIT

mkdir -p "$dir/ocf/resource.d/test" "$dir/live"
ln -s "$2/lib" "$dir/ocf/lib"
cat >"$dir/ocf/resource.d/test/Slow" <<END
#!/bin/sh
# Notes when it runs beside another run of itself; its start hangs as long as the file "hang" is there.
case \$1 in
    meta-data) echo '<?xml version="1.0"?><resource-agent name="Slow"><version>1.0</version><longdesc lang="en">x</longdesc>
<shortdesc lang="en">x</shortdesc><parameters/><actions><action name="start" timeout="120s"/><action name="stop" timeout="60s"/>
<action name="monitor" timeout="60s"/></actions></resource-agent>'; exit 0 ;;
esac
for other in '$dir/live'/*; do
    other=\$(basename "\$other")
    [ "\$other" = '*' ] && continue
    [ -e "/proc/\$other" ] && ! grep -q '^State:.*[ZX]' "/proc/\$other/status" && echo "\$1 beside \$other" >>'$dir/overlaps'
done
touch "$dir/live/\$\$"
trap 'rm -f "$dir/live/\$\$"' EXIT
case \$1 in
    start)
        echo \$\$ >'$dir/starting'
        while [ -e '$dir/hang' ]; do sleep 0.1; done
        touch '$dir/started' ;;
    stop) rm -f '$dir/started' ;;
    monitor) [ -e '$dir/started' ] || exit 7 ;;
    *) exit 3 ;;
esac
exit 0
END
chmod 755 "$dir/ocf/resource.d/test/Slow"
OCF_ROOT=$dir/ocf
export OCF_ROOT

check "a node comes up" "$bin/systole" local up --nodes 1 --dir "$dir/cluster"
check "it is the DC" until_true has_dc
check "no fencing" on crm_attribute -n stonith-enabled -v false
check "failed starts are tried again" on crm_attribute -n start-failure-is-fatal -v false
touch "$dir/hang"
check "a resource whose start hangs" on cibadmin -C -o resources -X '<primitive id="slow" class="ocf" provider="test" type="Slow">
  <operations><op id="slow-start" name="start" interval="0" timeout="120s"/><op id="slow-mon" name="monitor" interval="1s"/></operations></primitive>'
check "its start runs" until_true test -s "$dir/starting"
agent=$(cat "$dir/starting")
execd=$(process_of systole-execd)
check "the agent is there" kill -0 "$agent"
check "the executor is killed" kill -9 "$execd"
check "another one is started" until_true replaced
check "the agent that was left running is gone" until_true gone "$agent"
rm -f "$dir/hang"
check "the resource is started in the end" until_true runs
check "no two runs of its agent met" test ! -e "$dir/overlaps"
cp "$dir/overlaps" "$dir/out" 2>/dev/null

echo "1..$number"
exit $failed
