#pragma once
// cib/store.h — the CIB's files: plans for reading and writing them, and the judgement of what was read.
//
// A write is a list of steps that a small file interface performs; the order is such that a stop between any two of
// them, with any unsynced file content lost, leaves a file set from which the newest complete CIB is recovered:
// at least the one before the write. Torn and lost writes are found by the signatures.
// Source: protocol sheet cib.md, section 10.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "xml/tree.h"

namespace systole::cib {

/// The directory of the CIB as the store sees it; names have no '/' but for the one of a quarantine folder.
class Files {
public:
    Files() = default;
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    virtual ~Files() = default;

    /// Errors: kNotFound, kIo.
    [[nodiscard]] virtual Result<std::string> read(const std::string& name) = 0;
    struct Entry {
        std::string name;
        std::int64_t changed{};  ///< change time, any unit that orders entries
    };
    /// All files of the directory, in any order.
    [[nodiscard]] virtual Result<std::vector<Entry>> list() = 0;
    /// Creates or truncates, mode 0600. Errors: kIo ("No space left on device").
    [[nodiscard]] virtual Result<void> write(const std::string& name, std::string_view content) = 0;
    /// The content is on the medium when this returns.
    [[nodiscard]] virtual Result<void> sync(const std::string& name) = 0;
    /// The names are on the medium when this returns.
    [[nodiscard]] virtual Result<void> sync_directory() = 0;
    [[nodiscard]] virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    /// A second name of the same file; an existing `to` is an error.
    [[nodiscard]] virtual Result<void> link(const std::string& from, const std::string& to) = 0;
    /// Success where there is no such file.
    [[nodiscard]] virtual Result<void> remove(const std::string& name) = 0;
    [[nodiscard]] virtual Result<void> make_folder(const std::string& name) = 0;
};

struct LoadedCib {
    xml::NodePtr cib;    ///< never null; an empty CIB where no good file was found
    std::string source;  ///< "cib.xml", "cib-12.raw", or empty for an empty CIB
    std::string fault;   ///< why requests must be refused (the file can't be read at all); empty if usable
    std::vector<std::string> remarks;  ///< what was wrong and what was done about it, for the log (warnings)
};

/// Reads the CIB as it stands on disk, ready for use: without dc-uuid, with an empty status. A file that doesn't fit
/// its signature is moved aside into a folder cib.auto.N; the newest good one among an unfinished write and the backups
/// is used then.
LoadedCib load_cib(Files& files, const xml::NodePtr& empty);

/// What stands in the file for this snapshot: num_updates 0, no status.
xml::NodePtr cib_for_disk(const xml::Node& cib);

/// One file operation of a write.
struct FileStep {
    enum class Kind : std::uint8_t { kRemove, kLink, kWrite, kSync, kVerify, kRename, kSyncDirectory };
    Kind kind{};
    std::string name;
    std::string to;         ///< kLink, kRename
    std::string content;    ///< kWrite; for kVerify the digest that the file's tree must have
    bool optional = false;  ///< a failure is only remarked (a backup that can't be made)
};

/// The steps that put `cib` on disk. Reads which backup number is next and whether the present file is ours.
/// Errors: kCorrupt if the present cib.xml doesn't fit its signature (changed by hand): nothing may be written then.
Result<std::vector<FileStep>> plan_write(Files& files, const xml::Node& cib);
Result<void> perform(Files& files, const FileStep& step);

/// plan_write and all its steps. Errors: as both; the previous CIB stays in force then.
Result<void> store_cib(Files& files, const xml::Node& cib);

}  // namespace systole::cib
