#pragma once
// wire/compress.h — bzip2 as IPC and cluster messages use it (block size 400k, work factor 20).
// Source: protocol sheets ipc.md section 5, cpg.md section 3.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace systole::wire {

/// Empty if the result would be longer than `size_max`.
std::optional<std::string> compress(std::string_view bytes, std::size_t size_max);
/// Empty if `bytes` is not a bzip2 stream of exactly `size` bytes.
std::optional<std::string> decompress(std::string_view bytes, std::size_t size);

}  // namespace systole::wire
