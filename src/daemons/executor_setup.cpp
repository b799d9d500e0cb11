#include "daemons/executor_setup.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "runtime/linux/paths.h"
#include "runtime/linux/process.h"

namespace systole::daemons {
namespace {

std::string variable(const char* name, const char* fallback) {
    std::string value = runtime::environment_value(name);
    return value.empty() ? fallback : value;
}

/// Agents know log settings by names of their own.
void set_agent_variables() {
    struct Pair {
        const char *ours, *theirs, *fallback;
    };
    for (const Pair& pair :
         {Pair{"PCMK_debug", "HA_debug", "0"}, Pair{"PCMK_logfile", "HA_logfile", ""},
          Pair{"PCMK_logfacility", "HA_LOGFACILITY", "daemon"}, Pair{"PCMK_logfacility", "HA_logfacility", "daemon"}}) {
        if (std::getenv(pair.theirs) != nullptr) continue;
        std::string value = variable(pair.ours, pair.fallback);
        if (std::strcmp(pair.theirs, "HA_debug") == 0) value = parse_bool(value).value_or(false) ? "1" : "0";
        if (!value.empty()) ::setenv(pair.theirs, value.c_str(), 1);
    }
}

/// Agents keep their state files there.
void make_state_directory(const runtime::LogSink& log) {
    const std::string path = variable("HA_RSCTMP", "/run/resource-agents");
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        log({.severity = wire::Severity::kWarning,
             .text = fmt::format("Agents have no directory for their state: {}: {}", path, std::strerror(errno))});
    }
}

/// A thousand agents at once need more descriptors than the usual limit. Returns that, for the agents to keep.
unsigned long raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const unsigned long before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? before : 0;
}

}  // namespace

ExecutorHostOptions prepare_executor(const runtime::LogSink& log) {
    set_agent_variables();
    make_state_directory(log);
    ExecutorHostOptions options;
    utsname name{};
    if (::uname(&name) == 0) options.config.node_name = name.nodename;
    options.config.node_name = variable("SYSTOLE_NODE", options.config.node_name.c_str());  // local cluster engine
    if (variable("SYSTOLE_ENGINE", "") == "local")
        options.alert_user.clear();  // whose cluster it is needs no other user
    options.config.ocf_root = variable("OCF_ROOT", "/usr/lib/ocf");
    options.config.fence_root = variable("SYSTOLE_FENCE_ROOT", "/usr/sbin");
    options.control_group = runtime::own_control_group();
    const std::string run = runtime::paths_of_environment().run;
    if (::mkdir(run.c_str(), S_IRWXU | S_IRGRP | S_IXGRP) == 0 || errno == EEXIST) options.records = run + "/agents";
    options.descriptors_max = raise_descriptor_limit();
    return options;
}

}  // namespace systole::daemons
