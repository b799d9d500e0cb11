#pragma once
// runtime/linux/disk.h — the CIB's directory on a real disk.
//
// Every call is synchronous; the daemon performs a write's steps on a worker thread, so that a slow disk stops nobody.
// Source: cib/store.h; protocol sheet cib.md, section 10.
#include <string>

#include "cib/store.h"

namespace systole::runtime {

class Disk final : public cib::Files {
public:
    explicit Disk(std::string folder) : folder_(std::move(folder)) {}
    Result<std::string> read(const std::string& name) override;
    Result<std::vector<Entry>> list() override;
    Result<void> write(const std::string& name, std::string_view content) override;
    Result<void> sync(const std::string& name) override;
    Result<void> sync_directory() override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> link(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& name) override;
    Result<void> make_folder(const std::string& name) override;

private:
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    std::string folder_;
};

/// Creates `folder` (and what is above it) where it is missing. Errors: kIo.
Result<void> make_folders(const std::string& folder, mode_t mode);
/// Creates it with this owner and mode, or gives an existing one this owner and mode; `uid`, `gid` -1: as it is.
Result<void> make_owned_folder(const std::string& folder, uid_t uid, gid_t gid, mode_t mode);

}  // namespace systole::runtime
