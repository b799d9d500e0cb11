# agent.sh — what our OCF resource agents share. POSIX sh; sourced, not run.
#
# An agent defines functions agent_start, agent_stop, agent_monitor, agent_meta_data and so on (one an action, '-' in its
# name as '_'), and ends with: agent_run "$@". Each function returns an OCF status.
# Source: OCF Resource Agent API 1.1.

OCF_SUCCESS=0
OCF_ERR_GENERIC=1
OCF_ERR_ARGS=2
OCF_ERR_UNIMPLEMENTED=3
OCF_ERR_PERM=4
OCF_ERR_INSTALLED=5
OCF_ERR_CONFIGURED=6
OCF_NOT_RUNNING=7
OCF_RUNNING_PROMOTED=8
OCF_FAILED_PROMOTED=9

AGENT_NAME=${OCF_RESOURCE_TYPE:-${0##*/}}
AGENT_INSTANCE=${OCF_RESOURCE_INSTANCE:-default}

# agent_runtime_dir: where small state files live until the next boot. Without privileges that is the directory for
# agents that the executor was given.
agent_runtime_dir() {
    _dir=${HA_VARRUN:-/run}
    if [ ! -d "$_dir" ] || [ ! -w "$_dir" ]; then
        _dir=${HA_RSCTMP:-/run/resource-agents}
    fi
    printf '%s\n' "${_dir%/}"
}

# agent_log LEVEL TEXT: LEVEL is err, warn, info or debug.
agent_log() {
    _level=$1
    shift
    [ "$_level" = debug ] && [ "${HA_debug:-0}" = 0 ] && return 0
    printf '%s: %s\n' "$_level" "$*" >&2
    if [ "${HA_LOGFACILITY:-daemon}" != none ] && command -v logger >/dev/null 2>&1; then
        case $_level in
            err | warn | info | debug) logger -t "$AGENT_NAME($AGENT_INSTANCE)[$$]" -p "${HA_LOGFACILITY:-daemon}.$_level" -- "$*" ;;
        esac 2>/dev/null
    fi
    return 0
}

# agent_reason TEXT: why the action failed, for the cluster's status; logged too.
agent_reason() {
    printf '%s%s\n' "${OCF_EXIT_REASON_PREFIX:-ocf-exit-reason:}" "$*" >&2
    agent_log err "$*"
}

agent_is_number() {
    case $1 in
        '' | *[!0-9]*) return 1 ;;
    esac
}

agent_is_true() {
    case $1 in
        yes | Yes | YES | true | True | TRUE | on | On | ON | y | Y | 1) return 0 ;;
    esac
    return 1
}

# agent_is_probe: is this the question whether the resource runs where nobody has started it?
agent_is_probe() {
    [ "$AGENT_ACTION" = monitor ] && [ "${OCF_RESKEY_CRM_meta_interval:-0}" = 0 ]
}

# agent_need PROGRAM...: returns OCF_ERR_INSTALLED and says so if one is missing.
agent_need() {
    for _program; do
        if ! command -v "$_program" >/dev/null 2>&1; then
            agent_reason "$_program is not installed"
            return $OCF_ERR_INSTALLED
        fi
    done
}

# agent_seconds INTERVAL: "5", "5s", "2min", "1h", "500ms" in whole seconds, rounded up; fails for anything else.
agent_seconds() {
    _number=${1%%[!0-9]*}
    agent_is_number "$_number" || return 1
    case ${1#"$_number"} in
        '' | s | sec) printf '%s\n' "$_number" ;;
        ms | msec) printf '%s\n' $(((_number + 999) / 1000)) ;;
        m | min) printf '%s\n' $((_number * 60)) ;;
        h | hr) printf '%s\n' $((_number * 3600)) ;;
        *) return 1 ;;
    esac
}

# agent_write FILE TEXT: the file has the text as its only line, or is not changed at all.
agent_write() {
    printf '%s\n' "$2" >"$1.new" 2>/dev/null && mv -f "$1.new" "$1" 2>/dev/null && return 0
    rm -f "$1.new"
    agent_reason "$1 cannot be written"
    return $OCF_ERR_GENERIC
}

# agent_set_attribute NAME VALUE [DAMPEN]: a transient attribute of this node.
agent_set_attribute() {
    attrd_updater -n "$1" -U "$2" ${3:+-d "$3"} -q >/dev/null 2>&1
}
agent_delete_attribute() {
    attrd_updater -n "$1" -D -q >/dev/null 2>&1
}

# ---- resources that are only a file -------------------------------------------------------------------------------

# agent_file_writable FILE: may the file be made there?
agent_file_writable() {
    _place=$(dirname -- "$1")
    if [ ! -d "$_place" ] || [ ! -w "$_place" ]; then
        agent_reason "State file '$1' cannot be written"
        return $OCF_ERR_ARGS
    fi
}

# ---- metadata -----------------------------------------------------------------------------------------------------
# describe_agent first, then a describe_parameter each, then describe_actions, which ends it. Texts are written as XML.

# describe_agent NAME VERSION SHORT LONG
describe_agent() {
    cat <<END
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="$1" version="$2">
  <version>1.1</version>
  <longdesc lang="en">$4</longdesc>
  <shortdesc lang="en">$3</shortdesc>
  <parameters>
END
}

# describe_parameter NAME TYPE DEFAULT ATTRIBUTES SHORT LONG
describe_parameter() {
    _default=
    [ -n "$3" ] && _default=" default=\"$3\""
    cat <<END
    <parameter name="$1"${4:+ $4}>
      <longdesc lang="en">$6</longdesc>
      <shortdesc lang="en">$5</shortdesc>
      <content type="$2"$_default/>
    </parameter>
END
}

# describe_actions "NAME TIMEOUT [ATTRIBUTE=VALUE]..."...
describe_actions() {
    printf '  </parameters>\n  <actions>\n'
    for _action; do
        # The words of one argument; none of them holds a pattern.
        set -- $_action
        printf '    <action name="%s" timeout="%s"' "$1" "$2"
        shift 2
        for _word; do
            printf ' %s="%s"' "${_word%%=*}" "${_word#*=}"
        done
        printf '/>\n'
    done
    printf '  </actions>\n</resource-agent>\n'
}

# ---- dispatch -----------------------------------------------------------------------------------------------------

agent_usage() {
    printf 'usage: %s ACTION\nParameters are environment variables OCF_RESKEY_name; see: %s meta-data\n' "$0" "$0"
}

agent_run() {
    AGENT_ACTION=$1
    case $1 in
        '') agent_usage >&2; exit $OCF_ERR_ARGS ;;
        usage | help | --help) agent_usage; exit $OCF_SUCCESS ;;
        meta-data) agent_meta_data; exit $OCF_SUCCESS ;;
        status) AGENT_ACTION=monitor ;;
    esac
    _function=agent_$(printf '%s' "$AGENT_ACTION" | tr - _)
    if ! command -v "$_function" >/dev/null 2>&1; then
        agent_usage >&2
        exit $OCF_ERR_UNIMPLEMENTED
    fi
    "$_function"
    _status=$?
    agent_log debug "$AGENT_ACTION: $_status"
    exit $_status
}
