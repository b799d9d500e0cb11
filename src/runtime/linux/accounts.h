#pragma once
// runtime/linux/accounts.h — the users and groups that Pacemaker's rights are about.
// Source: protocol sheet ipc.md, section 7.
#include <sys/types.h>

#include <optional>
#include <string>

namespace systole::runtime {

inline constexpr const char* kDaemonUser = "hacluster";
inline constexpr const char* kDaemonGroup = "haclient";

struct Account {
    uid_t uid{};
    gid_t gid{};  ///< primary group
};

std::optional<Account> find_user(const std::string& name);
std::optional<gid_t> find_group(const std::string& name);
/// Empty if the user has no name.
std::string user_name(uid_t uid);

}  // namespace systole::runtime
