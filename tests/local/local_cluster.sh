#!/bin/sh
# A cluster of the local engine from its start to its end: formation, loss of the hub, of a core and of a whole node.
# usage: local_cluster.sh PROGRAMS      (folder with systole, systole-core, crm_mon ...)
set -u
bin=$1
dir=$(mktemp -d)
failed=0
number=0

check() { # WHAT COMMAND...
    what=$1
    shift
    number=$((number + 1))
    if "$@" >"$dir/out" 2>&1; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        sed 's/^/# /' "$dir/out"
        failed=1
    fi
}
# until COMMAND...: at most ten seconds
until_true() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || return 1
        sleep 0.1
    done
}
systole() { "$bin/systole" "$@"; }
on() { systole --node "$1" --dir "$dir/cluster" "$bin/crm_mon" -1; }
shows() { on "$1" 2>&1 | grep -qE "$2"; }
running() { systole local status --dir "$dir/cluster"; }
# the process of a node's daemon: NODE PROGRAM
process_of() {
    for proc in /proc/[0-9]*; do
        [ "$(cat "$proc/comm" 2>/dev/null)" = "$2" ] || continue
        tr '\0' '\n' <"$proc/environ" 2>/dev/null | grep -qx "SYSTOLE_STATE_DIR=$dir/cluster/$1" && basename "$proc"
    done
}
has() { [ -n "$(process_of "$1" "$2")" ]; }
cleanup() {
    systole local down --dir "$dir/cluster" >/dev/null 2>&1
    rm -rf "$dir"
}
trap cleanup EXIT

check "status without a cluster is refused" sh -c "! '$bin/systole' local status --dir '$dir/cluster'"
check "three nodes come up" systole local up --nodes 3 --dir "$dir/cluster"
check "all are online" until_true shows n3 'Online: \[ n1 n2 n3 \]'
check "it says that it is local" shows n1 'Stack: local'
check "another number of nodes is refused" sh -c "! '$bin/systole' local up --nodes 2 --dir '$dir/cluster'"

watcher=$(cat "$dir/cluster/hub.pid")
hub=$(cat "/proc/$watcher/task/$watcher/children" | cut -d' ' -f1)
core=$(process_of n1 systole-core)
check "the hub is killed" kill -9 "$hub"
sleep 1
check "it comes back and nobody has left" shows n2 'Online: \[ n1 n2 n3 \]'
check "n1's core lived through it" kill -0 "$core"

check "n1's core is killed" kill -9 "$core"
check "it is started again" until_true running
check "and is a member" until_true shows n2 'Online: \[ n1 n2 n3 \]'

execd=$(process_of n1 systole-execd)
core=$(process_of n1 systole-core)
check "n1's pacemakerd is killed" kill -9 "$(process_of n1 pacemakerd)"
check "the daemons live on" kill -0 "$core" "$execd"
check "another pacemakerd is started" systole local start n1 --dir "$dir/cluster"
check "it runs" until_true running
check "with the daemons that were there" sh -c "[ '$(process_of n1 systole-core)' = '$core' ] && [ '$(process_of n1 systole-execd)' = '$execd' ]"
check "the executor that it did not start is killed" kill -9 "$execd"
check "and started again" until_true has n1 systole-execd
check "and the node is still a member" until_true shows n2 'Online: \[ n1 n2 n3 \]'

check "n2 loses its power" systole local kill n2 --dir "$dir/cluster"
check "the others see it" until_true shows n3 'n2.*(UNCLEAN|offline)|OFFLINE: \[ n2 \]'
check "n2 is started again" systole local start n2 --dir "$dir/cluster"
check "and joins" until_true shows n1 'Online: \[ n1 n2 n3 \]'

# As the cluster's fencing does it, sooner than whoever cut the power has looked for what is left.
restarted_while_killed() {
    before=$(process_of n2 pacemakerd)
    systole local kill n2 --dir "$dir/cluster" &
    killer=$!
    while read -r text <"/proc/$before/stat" && [ "${text##*) Z}" = "$text" ]; do :; done 2>/dev/null
    systole local start n2 --dir "$dir/cluster"
    wait $killer
    has n2 pacemakerd
}
check "a start in the middle of a power cut comes after it" restarted_while_killed
check "and n2 is back once more" until_true shows n1 'Online: \[ n1 n2 n3 \]'

check "all stop in good order" systole local down --dir "$dir/cluster"
check "nothing is left running" sh -c "! '$bin/systole' local status --dir '$dir/cluster'"
echo "1..$number"
exit $failed
