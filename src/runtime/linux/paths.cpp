#include "runtime/linux/paths.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

namespace systole::runtime {

std::string environment_value(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

std::string pcmk_option(const std::string& name) {
    std::string value = environment_value(("PCMK_" + name).c_str());
    if (value.empty()) value = environment_value(("HA_" + name).c_str());
    return value;
}

Paths paths_of_environment() {
    Paths paths{.cib = "/var/lib/pacemaker/cib",
                .inputs = "/var/lib/pacemaker/pengine",
                .cores = "/var/lib/pacemaker/cores",
                .blackbox = "/var/lib/pacemaker/blackbox",
                .run = "/run/crm",
                .logs = "/var/log/pacemaker",
                .schemas = pcmk_option("schema_directory"),
                .state_dir = environment_value("SYSTOLE_STATE_DIR")};
    if (!paths.state_dir.empty()) {
        paths.cib = paths.state_dir + "/cib";
        paths.inputs = paths.state_dir + "/pengine";
        paths.cores = paths.state_dir + "/cores";
        paths.blackbox = paths.state_dir + "/blackbox";
        paths.run = paths.state_dir + "/run";
        paths.logs = paths.state_dir + "/log";
    }
    if (paths.schemas.empty()) paths.schemas = installed_schemas(own_program_folder());
    return paths;
}

std::string installed_schemas(const std::string& programs) {
    // Of a build tree, of an installation whose commands these are, of one whose daemons these are.
    for (const char* const relative : {"/../schemas", "/../share/pacemaker", "/../../share/pacemaker"}) {
        const std::string folder = programs + relative;
        if (::access((folder + "/pacemaker-4.0.rng").c_str(), F_OK) == 0) return folder;
    }
    return "/usr/share/pacemaker";
}

std::string own_program_folder() {
    std::array<char, 4096> path{};
    const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    if (n <= 0) return "/usr/sbin";
    const std::string program(path.data(), static_cast<std::size_t>(n));
    return program.substr(0, program.rfind('/'));
}

std::string find_daemon(const std::string& name) {
    const std::string own = own_program_folder();
    for (const std::string& folder :
         {environment_value("SYSTOLE_LIBEXEC_DIR"), own, own + "/../lib/pacemaker", own + "/../libexec/pacemaker",
          std::string("/usr/lib/pacemaker"), std::string("/usr/libexec/pacemaker")}) {
        if (folder.empty()) continue;
        const std::string path = folder + "/" + name;
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

}  // namespace systole::runtime
