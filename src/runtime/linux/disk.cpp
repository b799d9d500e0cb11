#include "runtime/linux/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace systole::runtime {
namespace {

struct Descriptor {
    int fd;
    Descriptor(const std::string& path, int flags, mode_t mode = 0)
        : fd(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
};

tl::unexpected<Error> failed(const std::string& what) {
    return fail(errno == ENOENT   ? Errc::kNotFound
                : errno == EEXIST ? Errc::kExists
                                  : Errc::kIo,
                fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

Result<std::string> Disk::read(const std::string& name) {
    const Descriptor file(path(name), O_RDONLY);
    if (file.fd < 0) return failed(path(name));
    std::string content;
    std::array<char, 64 * 1024> chunk;
    for (;;) {
        const ssize_t n = ::read(file.fd, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(path(name));
        if (n == 0) return content;
        content.append(chunk.data(), static_cast<std::size_t>(n));
    }
}

Result<std::vector<cib::Files::Entry>> Disk::list() {
    DIR* const folder = ::opendir(folder_.c_str());
    if (folder == nullptr) return failed(folder_);
    std::vector<Entry> entries;
    while (const dirent* const entry = ::readdir(folder)) {
        struct stat info{};
        if (::fstatat(::dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        entries.push_back({entry->d_name, info.st_ctim.tv_sec * 1'000'000'000LL + info.st_ctim.tv_nsec});
    }
    ::closedir(folder);
    return entries;
}

Result<void> Disk::write(const std::string& name, std::string_view content) {
    const Descriptor file(path(name), O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR);
    if (file.fd < 0) return failed(path(name));
    while (!content.empty()) {
        const ssize_t n = ::write(file.fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(path(name));
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> Disk::sync(const std::string& name) {
    const Descriptor file(path(name), O_RDONLY);
    if (file.fd < 0 || ::fsync(file.fd) != 0) return failed(path(name));
    return {};
}

Result<void> Disk::sync_directory() {
    const Descriptor folder(folder_, O_RDONLY | O_DIRECTORY);
    if (folder.fd < 0 || ::fsync(folder.fd) != 0) return failed(folder_);
    return {};
}

Result<void> Disk::rename(const std::string& from, const std::string& to) {
    if (std::rename(path(from).c_str(), path(to).c_str()) != 0)
        return failed(fmt::format("{} cannot become {}", path(from), to));
    return {};
}

Result<void> Disk::link(const std::string& from, const std::string& to) {
    if (::link(path(from).c_str(), path(to).c_str()) != 0)
        return failed(fmt::format("{} cannot be linked to {}", path(from), to));
    return {};
}

Result<void> Disk::remove(const std::string& name) {
    if (::unlink(path(name).c_str()) != 0 && errno != ENOENT) return failed(path(name));
    return {};
}

Result<void> Disk::make_folder(const std::string& name) {
    if (::mkdir(path(name).c_str(), S_IRWXU) != 0) return failed(path(name));
    return {};
}

Result<void> make_folders(const std::string& folder, mode_t mode) {
    for (std::size_t end = folder.find('/', 1);; end = folder.find('/', end + 1)) {
        const std::string part = folder.substr(0, end);
        if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return failed(part);
        if (end == std::string::npos) return {};
    }
}

Result<void> make_owned_folder(const std::string& folder, uid_t uid, gid_t gid, mode_t mode) {
    constexpr mode_t kParents = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;
    const std::size_t slash = folder.rfind('/');
    if (slash != std::string::npos && slash != 0)
        if (const auto made = make_folders(folder.substr(0, slash), kParents); !made) return made;
    if (::mkdir(folder.c_str(), mode) != 0 && errno != EEXIST) return failed(folder);
    // Not through a link: somebody with rights to the folder above could point it elsewhere.
    const Descriptor opened(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (opened.fd < 0 || ::fchown(opened.fd, uid, gid) != 0 || ::fchmod(opened.fd, mode) != 0) return failed(folder);
    return {};
}

}  // namespace systole::runtime
