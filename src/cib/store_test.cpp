#include "cib/store.h"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "cib/operations.h"
#include "cib/versions.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

xml::NodePtr cib_of_epoch(int epoch) {
    return *xml::parse(fmt::format(R"(<cib admin_epoch="0" epoch="{}" num_updates="7" dc-uuid="1" have-quorum="1">)"
                                   R"(<configuration><crm_config/><nodes/><resources><p id="it's {}"/></resources>)"
                                   R"(<constraints/></configuration><status><node_state id="1"/></status></cib>)",
                                   epoch, epoch));
}

/// Files with names and contents apart, as a disk has them: content that wasn't synced and names since the last sync of
/// the directory are lost or torn by a crash.
class Disk : public Files {
public:
    Result<std::string> read(const std::string& name) override {
        const auto found = names.find(name);
        if (found == names.end()) return fail(Errc::kNotFound, name + ": no such file");
        return found->second->content;
    }
    Result<std::vector<Entry>> list() override {
        std::vector<Entry> all;
        for (const auto& [name, inode] : names) all.push_back({name, inode->changed});
        return all;
    }
    Result<void> write(const std::string& name, std::string_view content) override {
        if (const auto ok = tick(); !ok) return ok;
        std::shared_ptr<Inode>& inode = names[name];
        if (!inode) inode = std::make_shared<Inode>();
        inode->content = content;
        inode->changed = ++clock;
        log_names();
        return {};
    }
    Result<void> sync(const std::string& name) override {
        if (const auto ok = tick(); !ok) return ok;
        names.at(name)->durable = names.at(name)->content;
        return {};
    }
    Result<void> sync_directory() override {
        if (const auto ok = tick(); !ok) return ok;
        log_names();
        history.erase(history.begin(), history.end() - 1);
        return {};
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
        if (const auto ok = tick(); !ok) return ok;
        const auto found = names.find(from);
        if (found == names.end()) return fail(Errc::kNotFound, from + ": no such file");
        const auto inode = found->second;
        names.erase(found);
        names[to] = inode;
        log_names();
        return {};
    }
    Result<void> link(const std::string& from, const std::string& to) override {
        if (const auto ok = tick(); !ok) return ok;
        if (!names.contains(from) || names.contains(to)) return fail(Errc::kIo, "link " + to);
        names[from]->changed = ++clock;
        names[to] = names[from];
        log_names();
        return {};
    }
    Result<void> remove(const std::string& name) override {
        if (const auto ok = tick(); !ok) return ok;
        names.erase(name);
        log_names();
        return {};
    }
    Result<void> make_folder(const std::string&) override { return {}; }

    /// How much of the unsynced survives a crash.
    enum class Loss { kNothing, kContents, kNames, kBoth };
    void crash(Loss loss, std::size_t names_kept) {
        left = ~std::size_t{0};
        if (loss == Loss::kNames || loss == Loss::kBoth) names = history[std::min(names_kept, history.size() - 1)];
        if (loss == Loss::kContents || loss == Loss::kBoth)
            for (auto& [name, inode] : names)
                if (inode->content != inode->durable)  // the old content, or a torn new one
                    inode->content =
                        inode->durable.empty() ? inode->content.substr(0, inode->content.size() / 2) : inode->durable;
        history = {names};
    }
    [[nodiscard]] std::size_t name_states() const { return history.size(); }

    struct Inode {
        std::string content, durable;
        std::int64_t changed = 0;
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;
    Names names;
    std::size_t left = ~std::size_t{0};  ///< operations until the disk stops working

private:
    Result<void> tick() {
        if (left == 0) return fail(Errc::kIo, "the power is off");
        --left;
        return {};
    }
    void log_names() { history.push_back(names); }
    std::int64_t clock = 0;
    std::vector<Names> history{Names{}};  // since the last sync of the directory
};

const xml::NodePtr& nothing() {
    static const xml::NodePtr empty = empty_cib("pacemaker-4.0", "3.20.5");
    return empty;
}

long long epoch_of(const LoadedCib& loaded) { return version_of(*loaded.cib).epoch; }

TEST(Store, WhatIsStoredIsLoaded) {
    Disk disk;
    ASSERT_TRUE(store_cib(disk, *cib_of_epoch(3)).has_value());
    EXPECT_EQ(*disk.read("cib.xml.sig"), xml::digest_on_disk(*cib_for_disk(*cib_of_epoch(3))));
    EXPECT_THAT(*disk.read("cib.xml"),
                testing::StartsWith("<cib admin_epoch=\"0\" epoch=\"3\" num_updates=\"0\" dc-uuid=\"1\""));
    const LoadedCib loaded = load_cib(disk, nothing());
    EXPECT_THAT(loaded.remarks, testing::IsEmpty());
    EXPECT_EQ(loaded.fault, "");
    EXPECT_EQ(xml::write(*loaded.cib),
              R"(<cib admin_epoch="0" epoch="3" num_updates="0" have-quorum="1"><configuration><crm_config/><nodes/>)"
              R"(<resources><p id="it's 3"/></resources><constraints/></configuration><status/></cib>)");
}

TEST(Store, AnEmptyDirectoryGivesTheEmptyCib) {
    Disk disk;
    const LoadedCib loaded = load_cib(disk, nothing());
    EXPECT_EQ(loaded.cib, nothing());
    EXPECT_THAT(loaded.remarks, testing::IsEmpty());
}

TEST(Store, AFileChangedByHandIsNotOverwritten) {
    Disk disk;
    ASSERT_TRUE(store_cib(disk, *cib_of_epoch(3)).has_value());
    std::string& content = disk.names["cib.xml"]->content;
    content.replace(content.find("it's 3"), 6, "edited");
    const auto refused = store_cib(disk, *cib_of_epoch(4));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::kCorrupt);
    EXPECT_THAT(refused.error().what, testing::HasSubstr("changed by hand"));
}

TEST(Store, ADamagedFileIsMovedAsideAndTheNewestBackupUsed) {
    Disk disk;
    for (int epoch = 1; epoch <= 4; ++epoch) ASSERT_TRUE(store_cib(disk, *cib_of_epoch(epoch)).has_value());
    const auto inode = std::make_shared<Disk::Inode>(*disk.names["cib.xml"]);
    inode->content.resize(100);
    disk.names["cib.xml"] = inode;
    const LoadedCib loaded = load_cib(disk, nothing());
    EXPECT_EQ(epoch_of(loaded), 3);
    EXPECT_EQ(loaded.source, "cib-2.raw");
    EXPECT_TRUE(disk.names.contains("cib.auto.0/cib.xml"));
    EXPECT_FALSE(disk.names.contains("cib.xml"));
    ASSERT_EQ(loaded.remarks.size(), 3U);
    EXPECT_THAT(loaded.remarks[0], testing::StartsWith("The stored CIB is damaged: cib.xml: line"));
    EXPECT_EQ(loaded.remarks[1], "The damaged files were moved into cib.auto.0");
    EXPECT_EQ(loaded.remarks[2], "The backup cib-2.raw of version 0.3.0 is used");
    EXPECT_TRUE(store_cib(disk, *cib_of_epoch(5)).has_value());
    EXPECT_EQ(epoch_of(load_cib(disk, nothing())), 5);
}

TEST(Store, AnOlderReleasesSignatureIsAccepted) {
    Disk disk;
    const xml::NodePtr stored = cib_for_disk(*cib_of_epoch(3));
    ASSERT_NE(xml::digest_on_disk(*stored), xml::digest_on_disk(*stored, xml::Escaping::kLegacy));
    std::ignore = disk.write("cib.xml", xml::write(*stored, {.pretty = true}));
    std::ignore = disk.write("cib.xml.sig", xml::digest_on_disk(*stored, xml::Escaping::kLegacy));
    EXPECT_EQ(epoch_of(load_cib(disk, nothing())), 3);
    std::ignore = disk.remove("cib.xml.sig");
    const LoadedCib unsigned_file = load_cib(disk, nothing());
    EXPECT_EQ(epoch_of(unsigned_file), 3);
    EXPECT_THAT(unsigned_file.remarks, testing::ElementsAre("cib.xml has no signature and is used as it is"));
}

TEST(Store, BackupsWrapAfterAHundred) {
    Disk disk;
    for (int epoch = 1; epoch <= 103; ++epoch) ASSERT_TRUE(store_cib(disk, *cib_of_epoch(epoch)).has_value());
    EXPECT_EQ(*disk.read("cib.last"), "2");
    EXPECT_THAT(*disk.read("cib-1.raw"), testing::HasSubstr("epoch=\"102\""));
    EXPECT_THAT(*disk.read("cib-2.raw"), testing::HasSubstr("epoch=\"3\""));
}

// Whatever step a write stops at, and whatever of the unsynced is lost then: what is loaded is the CIB before the write
// or the one written, and once the write was reported as done it is the one written.
TEST(Store, AStopAtAnyStepLosesNothingThatWasReported) {
    constexpr std::size_t kSteps = 15;
    int crashes = 0;
    for (std::size_t stop = 0; stop <= kSteps + 1; ++stop) {
        for (const auto loss : {Disk::Loss::kNothing, Disk::Loss::kContents, Disk::Loss::kNames, Disk::Loss::kBoth}) {
            for (std::size_t kept = 0; kept < 16; ++kept) {
                Disk disk;
                for (int epoch = 1; epoch <= 3; ++epoch) ASSERT_TRUE(store_cib(disk, *cib_of_epoch(epoch)).has_value());
                disk.left = stop;
                const bool reported = store_cib(disk, *cib_of_epoch(4)).has_value();
                if (kept >= disk.name_states()) break;
                disk.crash(loss, kept);
                ++crashes;
                const LoadedCib loaded = load_cib(disk, nothing());
                const std::string place = fmt::format("stop {}, loss {}, names {}", stop, static_cast<int>(loss), kept);
                EXPECT_TRUE(epoch_of(loaded) == 4 || (!reported && epoch_of(loaded) == 3))
                    << place << ": " << epoch_of(loaded);
                EXPECT_EQ(loaded.fault, "") << place;
                // And it can be written again afterwards.
                ASSERT_TRUE(store_cib(disk, *cib_of_epoch(5)).has_value()) << place;
                EXPECT_EQ(epoch_of(load_cib(disk, nothing())), 5) << place;
                if (loss == Disk::Loss::kNothing || loss == Disk::Loss::kContents) break;  // all names are kept
            }
        }
    }
    EXPECT_GT(crashes, 100);
}

TEST(Store, AnUnreadableFileIsAFault) {
    class Broken : public Disk {
        Result<std::string> read(const std::string& name) override {
            return fail(Errc::kIo, name + ": Input/output error");
        }
    } disk;
    const LoadedCib loaded = load_cib(disk, nothing());
    EXPECT_EQ(loaded.fault, "cib.xml: Input/output error");
    EXPECT_FALSE(store_cib(disk, *cib_of_epoch(1)).has_value());
}

}  // namespace
}  // namespace systole::cib
