#include "cib/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "cib/versions.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cib {
namespace {

using xml::Builder;
using xml::Node;
using xml::NodePtr;

constexpr const char* kFile = "cib.xml";
constexpr const char* kSignature = "cib.xml.sig";
constexpr const char* kNewFile = "cib.new";
constexpr const char* kNewSignature = "cib.new.sig";
constexpr const char* kNextBackup = "cib.last";
constexpr long long kBackupCount = 100;

/// Files of older releases are signed over their own escaping.
bool fits_signature(const Node& cib, std::string_view signature) {
    signature = trim(signature);
    return signature == xml::digest_on_disk(cib, xml::Escaping::kCurrent) ||
           signature == xml::digest_on_disk(cib, xml::Escaping::kLegacy);
}

/// Errors: kNotFound, kIo, and kCorrupt if it is no XML, no CIB or not what was signed.
Result<NodePtr> read_signed(Files& files, const std::string& name, const std::string& signature_name,
                            bool signature_needed) {
    const auto text = files.read(name);
    if (!text) return tl::unexpected(text.error());
    auto cib = xml::parse(*text);
    if (!cib) return fail(Errc::kCorrupt, fmt::format("{}: {}", name, cib.error().what));
    if (!(*cib)->is("cib")) return fail(Errc::kCorrupt, fmt::format("{}: its root is <{}>", name, (*cib)->name()));
    const auto signature = files.read(signature_name);
    if (!signature) {
        if (signature.error().code != Errc::kNotFound) return tl::unexpected(signature.error());
        if (!signature_needed) return cib;
        return fail(Errc::kCorrupt, fmt::format("{} has no signature", name));
    }
    if (!fits_signature(**cib, *signature))
        return fail(Errc::kCorrupt, fmt::format("{} isn't what {} was made for", name, signature_name));
    return cib;
}

bool exists(Files& files, const std::string& name) { return files.read(name).has_value(); }

NodePtr for_use(const Node& stored) {
    Builder b(stored);
    b.unset("dc-uuid");
    std::optional<std::size_t> status;
    for (std::size_t i = 0; i < b.children().size() && !status; ++i)
        if (b.children()[i]->is("status")) status = i;
    if (status)
        b.replace(*status, Builder("status").build());
    else
        b.add(Builder("status"));
    return std::move(b).build();
}

/// Names of the backups, newest first.
std::vector<std::string> backups(Files& files) {
    const auto all = files.list();
    if (!all) return {};
    std::vector<Files::Entry> found;
    for (const Files::Entry& e : *all)
        if (e.name.starts_with("cib-") && e.name.ends_with(".raw")) found.push_back(e);
    std::ranges::sort(found, [](const Files::Entry& a, const Files::Entry& b) {
        return a.changed != b.changed ? a.changed > b.changed : a.name < b.name;
    });
    std::vector<std::string> names;
    for (Files::Entry& e : found) names.push_back(std::move(e.name));
    return names;
}

void move_aside(Files& files, std::vector<std::string>& remarks) {
    for (int number = 0; number < 1000; ++number) {
        const std::string folder = fmt::format("cib.auto.{}", number);
        if (exists(files, folder + "/" + kFile)) continue;
        const auto made = files.make_folder(folder);
        if (!made) {
            remarks.push_back(fmt::format("The damaged files stay where they are: {}", made.error().what));
            return;
        }
        for (const char* name : {kFile, kSignature}) {
            const auto moved = files.rename(name, fmt::format("{}/{}", folder, name));
            if (!moved && moved.error().code != Errc::kNotFound)
                remarks.push_back(fmt::format("{} could not be moved aside: {}", name, moved.error().what));
        }
        remarks.push_back(fmt::format("The damaged files were moved into {}", folder));
        return;
    }
    remarks.emplace_back("The damaged files stay where they are: there are 1000 folders of such already");
}

FileStep step(FileStep::Kind kind, std::string name, std::string to = {}, std::string content = {}) {
    return {.kind = kind, .name = std::move(name), .to = std::move(to), .content = std::move(content)};
}

}  // namespace

LoadedCib load_cib(Files& files, const NodePtr& empty) {
    LoadedCib loaded;
    loaded.cib = empty;
    const auto use = [&](const NodePtr& cib, std::string source) {
        loaded.cib = for_use(*cib);
        loaded.source = std::move(source);
    };
    auto current = read_signed(files, kFile, kSignature, false);
    if (current) {
        if (!exists(files, kSignature))
            loaded.remarks.push_back(fmt::format("{} has no signature and is used as it is", kFile));
        use(*current, kFile);
        return loaded;
    }
    if (current.error().code == Errc::kIo) {
        loaded.fault = current.error().what;
        return loaded;
    }
    const bool damaged = current.error().code == Errc::kCorrupt;
    if (damaged) {
        loaded.remarks.push_back(fmt::format("The stored CIB is damaged: {}", current.error().what));
        // A write that was stopped between its two renames leaves the new file with the old signature.
        if (const auto half = read_signed(files, kFile, kNewSignature, true)) {
            const auto renamed = files.rename(kNewSignature, kSignature);
            loaded.remarks.push_back(renamed ? "It was being replaced when the node stopped; the write was completed"
                                             : fmt::format("It was being replaced when the node stopped, but its "
                                                           "signature can't be put in place: {}",
                                                           renamed.error().what));
            use(*half, kFile);
            return loaded;
        }
        move_aside(files, loaded.remarks);
    }
    if (const auto unfinished = read_signed(files, kNewFile, kNewSignature, true)) {
        loaded.remarks.emplace_back("An unfinished write was complete and is used");
        use(*unfinished, kNewFile);
        return loaded;
    }
    for (const std::string& name : backups(files)) {
        const auto backup = read_signed(files, name, name + ".sig", true);
        if (backup) {
            loaded.remarks.push_back(
                fmt::format("The backup {} of version {} is used", name, to_string(version_of(**backup))));
            use(*backup, name);
            return loaded;
        }
        loaded.remarks.push_back(fmt::format("The backup is not usable: {}", backup.error().what));
    }
    if (damaged) loaded.remarks.emplace_back("There is no good backup: starting with an empty CIB");
    return loaded;
}

NodePtr cib_for_disk(const Node& cib) {
    Builder b(cib);
    b.set("num_updates", "0");
    for (std::size_t i = b.children().size(); i-- > 0;)
        if (b.children()[i]->is("status")) b.erase(i);
    return std::move(b).build();
}

Result<std::vector<FileStep>> plan_write(Files& files, const Node& cib) {
    using Kind = FileStep::Kind;
    std::vector<FileStep> steps;
    const auto present = read_signed(files, kFile, kSignature, false);
    if (!present && present.error().code == Errc::kCorrupt)
        return fail(Errc::kCorrupt,
                    fmt::format("the CIB on disk was changed by hand and isn't overwritten: {}", present.error().what));
    if (!present && present.error().code != Errc::kNotFound) return tl::unexpected(present.error());
    if (present) {
        const auto last = files.read(kNextBackup);
        const long long number = last ? parse_integer(*last).value_or(0) : 0;
        const long long slot = number < 0 || number >= kBackupCount ? 0 : number;
        const std::string backup = fmt::format("cib-{}.raw", slot);
        const std::size_t first = steps.size();
        // The signature goes first: an old signature beside a new backup would be a backup that can't be used.
        steps.push_back(step(Kind::kRemove, backup + ".sig"));
        steps.push_back(step(Kind::kRemove, backup));
        steps.push_back(step(Kind::kLink, kFile, backup));
        steps.push_back(step(Kind::kLink, kSignature, backup + ".sig"));
        steps.push_back(step(Kind::kWrite, kNextBackup, {}, std::to_string((slot + 1) % kBackupCount)));
        for (std::size_t i = first; i < steps.size(); ++i) steps[i].optional = true;
    }
    const NodePtr stripped = cib_for_disk(cib);
    const std::string digest = xml::digest_on_disk(*stripped);
    // What a stopped write left behind goes first, or its signature could vouch for a file that it wasn't made for.
    steps.push_back(step(Kind::kRemove, kNewSignature));
    steps.push_back(step(Kind::kWrite, kNewFile, {}, xml::write(*stripped, {.pretty = true})));
    steps.push_back(step(Kind::kSync, kNewFile));
    steps.push_back(step(Kind::kWrite, kNewSignature, {}, digest));
    steps.push_back(step(Kind::kSync, kNewSignature));
    steps.push_back(step(Kind::kVerify, kNewFile, {}, digest));
    steps.push_back(step(Kind::kSyncDirectory, "."));
    steps.push_back(step(Kind::kRename, kNewFile, kFile));
    steps.push_back(step(Kind::kRename, kNewSignature, kSignature));
    steps.push_back(step(Kind::kSyncDirectory, "."));
    return steps;
}

Result<void> perform(Files& files, const FileStep& s) {
    switch (s.kind) {
        case FileStep::Kind::kRemove: return files.remove(s.name);
        case FileStep::Kind::kLink: return files.link(s.name, s.to);
        case FileStep::Kind::kWrite: return files.write(s.name, s.content);
        case FileStep::Kind::kSync: return files.sync(s.name);
        case FileStep::Kind::kRename: return files.rename(s.name, s.to);
        case FileStep::Kind::kSyncDirectory: return files.sync_directory();
        case FileStep::Kind::kVerify: break;
    }
    const auto text = files.read(s.name);
    if (!text) return tl::unexpected(text.error());
    const auto written = xml::parse(*text);
    if (!written) return fail(Errc::kCorrupt, fmt::format("{} reads back damaged: {}", s.name, written.error().what));
    if (xml::digest_on_disk(**written) != s.content)
        return fail(Errc::kCorrupt, fmt::format("{} doesn't read back as it was written", s.name));
    return {};
}

Result<void> store_cib(Files& files, const Node& cib) {
    const auto steps = plan_write(files, cib);
    if (!steps) return tl::unexpected(steps.error());
    for (const FileStep& s : *steps) {
        const auto done = perform(files, s);
        if (!done && !s.optional) return done;
    }
    return {};
}

}  // namespace systole::cib
