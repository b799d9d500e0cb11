#include "wire/compress.h"

#include <bzlib.h>

#include <algorithm>
#include <limits>

namespace systole::wire {
namespace {

constexpr std::size_t kBlockUnit = 100'000;
constexpr std::size_t kBlockSizeMax = 4;
constexpr int kWorkFactor = 20;

// bzip2's interface takes writable pointers and unsigned sizes; it does not write to its source.
char* source_of(std::string_view bytes) { return const_cast<char*>(bytes.data()); }

}  // namespace

std::optional<std::string> compress(std::string_view bytes, std::size_t size_max) {
    if (bytes.size() > std::numeric_limits<int>::max() || size_max > std::numeric_limits<int>::max())
        return std::nullopt;
    std::string out(size_max, '\0');
    auto length = static_cast<unsigned>(size_max);
    // Its memory, and the time to get it, go with the block size and not with what is packed.
    const auto block = static_cast<int>(std::min(kBlockSizeMax, bytes.size() / kBlockUnit + 1));
    const int rc = BZ2_bzBuffToBuffCompress(out.data(), &length, source_of(bytes), static_cast<unsigned>(bytes.size()),
                                            block, 0, kWorkFactor);
    if (rc != BZ_OK) return std::nullopt;
    out.resize(length);
    return out;
}

std::optional<std::string> decompress(std::string_view bytes, std::size_t size) {
    if (bytes.size() > std::numeric_limits<int>::max() || size > std::numeric_limits<int>::max()) return std::nullopt;
    std::string out(size, '\0');
    auto length = static_cast<unsigned>(size);
    const int rc =
        BZ2_bzBuffToBuffDecompress(out.data(), &length, source_of(bytes), static_cast<unsigned>(bytes.size()), 0, 0);
    if (rc != BZ_OK || length != size) return std::nullopt;
    return out;
}

}  // namespace systole::wire
