#include "cli/files.h"

#include <bzlib.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "xml/parse.h"

namespace systole::cli {
namespace {

constexpr std::size_t kUnpackedMax = 1UL << 30;

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ > STDERR_FILENO) close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

tl::unexpected<Error> system_error(const std::string& path) {
    const Errc code = errno == ENOENT ? Errc::kNotFound : errno == EACCES ? Errc::kDenied : Errc::kIo;
    return fail(code, fmt::format("{}: {}", path, std::strerror(errno)));
}

Result<std::string> unpack(const std::string& path, std::string packed) {
    std::string plain;
    bz_stream stream{};
    if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) return fail(Errc::kIo, path + ": no memory to unpack");
    stream.next_in = packed.data();
    stream.avail_in = static_cast<unsigned>(packed.size());
    char chunk[65536];
    int state = BZ_OK;
    while (state == BZ_OK && plain.size() <= kUnpackedMax) {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        const unsigned before = stream.avail_in;
        state = BZ2_bzDecompress(&stream);
        plain.append(chunk, sizeof chunk - stream.avail_out);
        if (state == BZ_OK && before == stream.avail_in && stream.avail_out == sizeof chunk) break;
    }
    BZ2_bzDecompressEnd(&stream);
    if (state != BZ_STREAM_END) return fail(Errc::kCorrupt, path + ": not a complete bzip2 file");
    return plain;
}

bool write_all(int file, std::string_view content) {
    while (!content.empty()) {
        const ssize_t count = write(file, content.data(), content.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

constexpr std::size_t kChunk = 65536;

}  // namespace

Result<std::string> read_file(const std::string& path) {
    const Descriptor file(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return system_error(path);
    std::string content;
    struct stat status{};
    const bool sized = fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
    // One more than there is, so that the end is seen at once.
    content.resize(sized ? static_cast<std::size_t>(status.st_size) + 1 : kChunk);
    std::size_t have = 0;
    for (;;) {
        if (have == content.size()) content.resize(2 * have);
        const ssize_t count = read(file.get(), content.data() + have, content.size() - have);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error(path);
        if (count == 0) break;
        have += static_cast<std::size_t>(count);
    }
    content.resize(have);
    if (path.ends_with(".bz2")) return unpack(path, std::move(content));
    return content;
}

Result<void> overwrite_file(const std::string& path, std::string_view content) {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) return system_error(path);
    struct stat old{};
    if (fstat(file.get(), &old) != 0) return system_error(path);
    const bool regular = S_ISREG(old.st_mode);
    if (regular && !content.empty()) {
        // What is there now is only touched when there is room for all that comes.
        const int refused = posix_fallocate(file.get(), 0, static_cast<off_t>(content.size()));
        if (refused != 0 && refused != EOPNOTSUPP && refused != EINVAL) {
            (void)ftruncate(file.get(), old.st_size);
            errno = refused;
            return system_error(path);
        }
    }
    if (!write_all(file.get(), content)) return system_error(path);
    if (regular && (ftruncate(file.get(), static_cast<off_t>(content.size())) != 0 || fsync(file.get()) != 0))
        return system_error(path);
    return {};
}

Result<void> replace_file(const std::string& path, std::string_view content) {
    std::string target = path;
    char real[PATH_MAX];
    struct stat old{};
    const bool exists = stat(path.c_str(), &old) == 0;
    if (exists && realpath(path.c_str(), real) != nullptr) target = real;
    std::string scratch = target + ".XXXXXX";
    const Descriptor file(mkostemp(scratch.data(), O_CLOEXEC));
    if (file.get() < 0) return system_error(path);
    const auto give_up = [&]() -> Result<void> {
        auto error = system_error(path);
        unlink(scratch.c_str());
        return error;
    };
    // Who is not root can't give files away; the file is his own then.
    if (exists && fchown(file.get(), old.st_uid, old.st_gid) != 0 && errno != EPERM) return give_up();
    if (exists && fchmod(file.get(), old.st_mode & 07777) != 0) return give_up();
    if (!write_all(file.get(), content)) return give_up();
    if (fsync(file.get()) != 0 || std::rename(scratch.c_str(), target.c_str()) != 0) return give_up();
    return {};
}

Result<xml::NodePtr> read_xml_file(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return tl::unexpected(text.error());
    auto tree = xml::parse(*text);
    if (!tree) return fail(tree.error().code, fmt::format("{}: {}", path, tree.error().what));
    return tree;
}

}  // namespace systole::cli
