#include "runtime/linux/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <array>

namespace systole::runtime {
namespace {

using Buffer = std::array<char, 16 * 1024>;  // an entry that is larger counts as not found

}  // namespace

std::optional<Account> find_user(const std::string& name) {
    Buffer buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return Account{found->pw_uid, found->pw_gid};
}

std::optional<gid_t> find_group(const std::string& name) {
    Buffer buffer;
    group entry{};
    group* found = nullptr;
    if (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return found->gr_gid;
}

std::string user_name(uid_t uid) {
    Buffer buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
    return found->pw_name;
}

}  // namespace systole::runtime
