#pragma once
// runtime/linux/process_spawn.h — starts one program without copying the address space of the daemon.
#include <sys/types.h>

#include <string>
#include <vector>

namespace systole::runtime {

struct SpawnRequest {
    std::vector<std::string> argv;
    std::vector<std::string> environment;     ///< NAME=value, all of it
    int input = -1, output = -1, error = -1;  ///< become 0, 1 and 2
    int group_procs = -1;                     ///< open for writing: the cgroup.procs of the group to enter, or -1
    unsigned long descriptors_max = 0;        ///< soft limit of open files for the program; 0: as here
    bool change_user = false;
    uid_t uid{};
    gid_t gid{};
    std::vector<gid_t> groups;
};

struct SpawnReply {
    pid_t pid = -1;        ///< of the running program; -1 if there is none
    int error_code = 0;    ///< errno value why not
    bool at_exec = false;  ///< the program itself was the obstacle, not what comes before it
};

/// Returns when the program has been executed, or could not be. The child is in a session of its own with default
/// signal handling, normal priority and no other descriptors. It is not reaped here, except if it failed.
SpawnReply spawn(const SpawnRequest& request);

}  // namespace systole::runtime
