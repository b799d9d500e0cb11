#include "cli/cib_access.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "base/exit_code.h"
#include "cib/operations.h"
#include "cib/rc.h"
#include "cli/files.h"
#include "cli/schema_directory.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

constexpr const char* kCibDirectory = "/var/lib/pacemaker/cib";

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string(value);
}

std::vector<std::string> groups_of(std::string_view user) {
    const std::string name(user);
    const passwd* entry = getpwnam(name.c_str());
    if (entry == nullptr) return {};
    int count = 64;
    std::vector<gid_t> ids(static_cast<std::size_t>(count));
    if (getgrouplist(name.c_str(), entry->pw_gid, ids.data(), &count) < 0) {
        ids.resize(static_cast<std::size_t>(std::max(count, 0)));
        if (getgrouplist(name.c_str(), entry->pw_gid, ids.data(), &count) < 0) return {};
    }
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        if (const group* one = getgrgid(ids[static_cast<std::size_t>(i)])) names.emplace_back(one->gr_name);
    }
    return names;
}

// A CIB in a file. What a call changes is written before it is answered.
class FileCib final : public CibAccess {
public:
    FileCib(std::string path, xml::NodePtr cib, CibLog log) : path_(std::move(path)), cib_(std::move(cib)) {
        if (log) {
            on_acl_ = [log](const cib::AclNote& note) {
                log(Severity::kTrace, note.about_creation ? "pcmk__apply_creation_acl" : "pcmk__check_acl", note.text);
            };
        }
        schemas_ = open_schemas([log = std::move(log)](const cib::SchemaNote& note) {
            if (!log || note.level == cib::SchemaNote::Level::kViolation) return;
            auto severity = Severity::kDebug;
            if (note.level == cib::SchemaNote::Level::kInfo) severity = Severity::kInfo;
            if (note.level == cib::SchemaNote::Level::kWarning) severity = Severity::kWarning;
            if (note.level == cib::SchemaNote::Level::kError) severity = Severity::kError;
            log(severity, note.origin, note.text);
        });
    }

    [[nodiscard]] Result<void> check() { return schemas_->validate(*cib_); }

    [[nodiscard]] Result<CibReply> call(const CibCall& call) override {
        const auto message = cib::make_request(call.op, call.section, call.input, call.options);
        cib::Request request = cib::read_request(message);
        const std::string user = call.user.empty() ? variable("CIB_user") : call.user;
        request.user = user;
        const cib::World world{.schemas = schemas_.get(),
                               .feature_set = {},
                               .modification_time = {},
                               .groups_of = groups_of,
                               .on_acl = on_acl_,
                               .validated = nullptr};
        cib::Outcome outcome = cib::execute(cib_, request, world);
        if (outcome.rc == 0 && outcome.cib != cib_) {
            if (auto written = write(*outcome.cib); !written) return tl::unexpected(written.error());
            cib_ = outcome.cib;
        }
        return CibReply{.rc = outcome.rc, .output = std::move(outcome.output), .why = std::move(outcome.why)};
    }

private:
    // A cluster's own file has its digest beside it, without which the cluster would not take it for whole.
    Result<void> write(const xml::Node& cib) const {
        const std::string text = xml::write(cib, {.pretty = true});
        const std::string signature = path_ + ".sig";
        if (access(signature.c_str(), F_OK) != 0) return overwrite_file(path_, text);
        if (auto done = replace_file(path_, text); !done) return done;
        return replace_file(signature, xml::digest_on_disk(cib));
    }

    std::string path_;
    xml::NodePtr cib_;
    std::unique_ptr<cib::SchemaSet> schemas_;
    std::function<void(const cib::AclNote&)> on_acl_;
};

}  // namespace

Result<xml::NodePtr> CibAccess::query(const std::string& section) {
    auto reply = call({.op = cib::Op::kQuery, .section = section});
    if (!reply) return tl::unexpected(reply.error());
    if (reply->rc != 0) {
        return fail(reply->rc == cib::rc::kDenied ? Errc::kDenied : Errc::kNotFound,
                    std::string(describe_legacy(reply->rc)));
    }
    return std::move(reply->output);
}

std::string shadow_path(const std::string& name) {
    std::string directory = variable("CIB_shadow_dir");
    if (directory.empty()) {
        const passwd* user = getpwuid(geteuid());
        const bool system = geteuid() == 0 || (user != nullptr && std::string_view(user->pw_name) == "hacluster");
        if (system) {
            directory = kCibDirectory;
        } else {
            std::string home = variable("HOME");
            if (home.empty() && user != nullptr) home = user->pw_dir;
            directory = home + "/.cib";
        }
    }
    return fmt::format("{}/shadow.{}", directory, name);
}

CibSource cib_source(Shadow shadow) {
    const std::string name = variable("CIB_shadow");
    if (!name.empty() && shadow == Shadow::kFollow) {
        return {.kind = CibSource::Kind::kShadow, .path = shadow_path(name), .shadow = name};
    }
    const std::string file = variable("CIB_file");
    if (!file.empty()) return {.kind = CibSource::Kind::kFile, .path = file, .shadow = {}};
    return {};
}

CibLog log_to(Output& output) {
    return [&output](Severity severity, std::string_view origin, std::string_view text) {
        if (origin.empty() && output.config().verbosity > 0) {  // what a sheet says to who asked for more
            output.flush();
            std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
        } else {
            output.log(severity, origin, text);
        }
    };
}

Result<std::unique_ptr<CibAccess>> open_cib(const CibSource& source, CibLog log) {
    if (source.kind == CibSource::Kind::kLive) return open_live_cib(std::move(log));
    auto cib = read_xml_file(source.path);
    if (!cib) return tl::unexpected(cib.error());
    if (!(*cib)->is("cib")) {
        return fail(Errc::kInvalid,
                    fmt::format("{}: the root element is '{}', not 'cib'", source.path, (*cib)->name()));
    }
    auto access = std::make_unique<FileCib>(source.path, std::move(*cib), std::move(log));
    if (const auto valid = access->check(); !valid) {
        return fail(Errc::kCorrupt, fmt::format("{}: {}", source.path, valid.error().what));
    }
    return access;
}

int legacy_code(const Error& error) {
    switch (error.code) {
        case Errc::kNotFound: return -ENXIO;
        case Errc::kInvalid: return cib::rc::kCorrupt;
        case Errc::kCorrupt: return cib::rc::kSchemaViolated;
        case Errc::kDenied: return cib::rc::kDenied;
        case Errc::kUnreachable: return -ENOTCONN;
        case Errc::kStale: return -ETIMEDOUT;
        case Errc::kExists: return cib::rc::kExists;
        case Errc::kIo: return -EIO;
    }
    return cib::rc::kGeneric;
}

}  // namespace systole::cli
