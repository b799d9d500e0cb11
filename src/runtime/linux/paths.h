#pragma once
// runtime/linux/paths.h — where the daemons keep their files.
//
// Pacemaker's paths, unless $SYSTOLE_STATE_DIR names a folder that holds a whole node (local engine, tests).
// Source: protocol sheet pacemakerd.md, section 5.
#include <string>

namespace systole::runtime {

struct Paths {
    std::string cib;        ///< /var/lib/pacemaker/cib
    std::string inputs;     ///< /var/lib/pacemaker/pengine: saved scheduler inputs
    std::string cores;      ///< /var/lib/pacemaker/cores
    std::string blackbox;   ///< /var/lib/pacemaker/blackbox
    std::string run;        ///< /run/crm
    std::string logs;       ///< /var/log/pacemaker
    std::string schemas;    ///< $PCMK_schema_directory, else installed_schemas()
    std::string state_dir;  ///< $SYSTOLE_STATE_DIR; empty where Pacemaker's paths are used
};
Paths paths_of_environment();

/// A variable's value; empty where it is not set.
std::string environment_value(const char* name);
/// PCMK_x, or the old HA_x where that is not set.
std::string pcmk_option(const std::string& name);

/// The folder of this process' program.
std::string own_program_folder();
/// The schemas of the build tree or installation whose programs are in that folder; /usr/share/pacemaker where there
/// are none.
std::string installed_schemas(const std::string& programs);
/// The full path of one of our daemons: $SYSTOLE_LIBEXEC_DIR, beside this program, or where they are installed.
/// Empty if it is in none of these.
std::string find_daemon(const std::string& name);

}  // namespace systole::runtime
