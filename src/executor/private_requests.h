#pragma once
// executor/private_requests.h — what systole-core asks of systole-execd beyond the lrmd vocabulary.
//
// The core is not privileged, so everything that must run as root runs here: fence agents, and agents' metadata. Only
// privileged local clients may ask. An agent run this way belongs to no resource: it waits in no queue, and its result
// goes to the asking client alone, as an event.
//
// Request (IPC service lrmd):
//
//   <lrmd_command t="lrmd" lrmd_op="systole_run_agent">
//     <lrmd_calldata>
//       <systole_agent lrmd_class="stonith" lrmd_provider="" lrmd_type="fence_ipmilan" lrmd_rsc_action="off"
//                      lrmd_timeout="MS" lrmd_rsc_id="fence-n1" lrmd_rsc_userdata_str="anything">
//         <param name="action" value="off"/> ...
//       </systole_agent>
//     </lrmd_calldata>
//   </lrmd_command>
//
// * class stonith: FENCE_ROOT/TYPE without arguments; every param is a line name=value on its standard input, in this
//   order. The line action=ACTION comes first unless a param of that name is given.
// * class ocf: the agent with ACTION as its argument; every param is a variable OCF_RESKEY_name. lrmd_rsc_id is the
//   instance's name and may be absent (metadata).
// * class lsb: metadata is made from the script's header; other actions run the script.
// * class systemd: the unit; metadata is made from its description.
// * class service: lsb where there is such a script, else systemd.
// * lrmd_timeout: milliseconds, 0 or absent: a minute. lrmd_rsc_userdata_str is repeated in the result.
//
// Reply: <lrmd_reply lrmd_rc="CALL" lrmd_callid="CALL"/>, or a negative errno: -EACCES, -EINVAL (no type, unknown
// class), -EAGAIN (too many agents run at this moment).
//
// Result, an event:
//
//   <lrmd_notify lrmd_op="systole_run_agent" lrmd_callid="CALL" lrmd_class lrmd_provider lrmd_type lrmd_rsc_action
//                lrmd_rsc_userdata_str lrmd_exec_op_status="0" lrmd_exec_rc="0" lrmd_exec_time="MS"
//                lrmd_rsc_exit_reason="..." lrmd_rsc_output="standard output" systole_error="standard error"/>
//
// lrmd_exec_rc is the exit status as the program gave it (not translated); it counts only if lrmd_exec_op_status is 0.
// Otherwise the status is 2 (timeout: the process tree is killed by then), 4 (error: killed by a signal, not started)
// or 7 (no such program), and lrmd_exec_rc is 1, or 4 where the program may not be run, or 5 where it is not there.
//
// Cancelling:  <lrmd_command lrmd_op="systole_cancel_agent"><lrmd_calldata><systole_agent lrmd_callid="CALL"/>...
// kills it with its process tree; reply 0 or -ENODEV; the result then comes with status 1. A client that disconnects
// gets no results: fence agents it asked for are left to end by themselves, others are killed.
//
// A core tells when it registers which call numbers it has seen (an earlier process' among them):
// lrmd_op="register" systole_calls_above="N"; later ones are higher.
//
// What was done here, for a core that was started anew and has to know what its predecessor did:
//
//   <lrmd_command lrmd_op="systole_get_history"/>
//       reply: <lrmd_reply lrmd_rc="0"><lrmd_rsc lrmd_rsc_id lrmd_class lrmd_provider lrmd_type/>...</lrmd_reply>
//   <lrmd_command lrmd_op="systole_get_history"><lrmd_calldata><lrmd_rsc
//   lrmd_rsc_id="db"/></lrmd_calldata></lrmd_command>
//       reply: the same for this resource, with the last result of each action and interval (an lrmd_notify as it was
//       told, oldest first) as the element's children. Cancelled operations are not results. Unknown: -ENODEV.
#include <cstddef>
#include <string_view>

namespace systole::executor {

inline constexpr std::string_view kRunAgent = "systole_run_agent";
inline constexpr std::string_view kCancelAgent = "systole_cancel_agent";
inline constexpr std::string_view kGetHistory = "systole_get_history";
inline constexpr std::string_view kAgentElement = "systole_agent";
inline constexpr std::string_view kCallsAbove = "systole_calls_above";
inline constexpr std::string_view kAgentError = "systole_error";

/// Agents that may run at the same time by such requests.
inline constexpr std::size_t kAgentRunsMax = 500;

}  // namespace systole::executor
