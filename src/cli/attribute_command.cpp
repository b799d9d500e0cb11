#include "cli/attribute_command.h"

#include <regex.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "cib/rc.h"
#include "cli/attribute_client.h"
#include "cli/daemon_client.h"

namespace systole::cli {
namespace {

ExitCode failed(Output& output, int rc) {
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

void show(Output& output, const AttributeTask& task, std::string_view name, std::string_view value) {
    if (task.quiet) {
        output.line(value);
    } else {
        output.line(fmt::format("scope={} name={} value={}", name_of(task.query.scope), name, value));
    }
    output.add(xml::Builder("attribute").set("name", name).set("value", value).set("scope", name_of(task.query.scope)));
}

std::vector<FoundPair> matching(const xml::Node& cib, const AttributeTask& task) {
    std::vector<FoundPair> found = find_pairs(cib, task.query);
    if (task.pattern.empty()) return found;
    regex_t pattern{};
    if (regcomp(&pattern, task.pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return {};
    std::erase_if(found, [&pattern](const FoundPair& one) {
        return regexec(&pattern, std::string(one.pair->get("name")).c_str(), 0, nullptr, 0) != 0;
    });
    regfree(&pattern);
    return found;
}

// Several pairs of the name, and nothing that tells which one is meant.
ExitCode ambiguous(Output& output, const AttributeTask& task, const std::vector<FoundPair>& found) {
    output.fail("Please choose from one of the matches below and supply the 'id' with --attr-id");
    output.line(fmt::format("Multiple attributes match name={}", task.query.name));
    for (const FoundPair& one : found) {
        output.line(fmt::format("  Value: {} \t(id={})", one.pair->get("value"), one.pair->id()));
    }
    return ExitCode::kMultiple;
}

ExitCode query(Output& output, const AttributeTask& task, const xml::Node& cib) {
    const std::vector<FoundPair> found = matching(cib, task);
    if (found.empty()) {
        if (task.fallback) {
            show(output, task, task.query.name, *task.fallback);
            return ExitCode::kOk;
        }
        return task.silent_if_absent ? ExitCode::kNoSuchObject : failed(output, cib::rc::kNotFound);
    }
    for (const FoundPair& one : found) show(output, task, one.pair->get("name"), one.pair->get("value"));
    return ExitCode::kOk;
}

ExitCode update(Output& output, const AttributeTask& task, CibAccess& access, const xml::Node& cib) {
    // Values such as "value++" are calculated whether or not --score is given, as the reference still does.
    const std::uint32_t options = cib::option::kScoreUpdate;
    const std::vector<FoundPair> found = matching(cib, task);
    if (task.pattern.empty() && found.size() > 1) return ambiguous(output, task, found);
    std::vector<CibCall> calls;
    if (task.pattern.empty()) {
        calls.push_back(set_pair(cib, task.query, task.value, found.empty() ? nullptr : &found.front(), options));
    } else {
        for (const FoundPair& one : found) calls.push_back(set_pair(cib, task.query, task.value, &one, options));
        if (calls.empty()) return failed(output, cib::rc::kNotFound);
    }
    for (const CibCall& call : calls) {
        const auto reply = access.call(call);
        const int rc = reply ? reply->rc : legacy_code(reply.error());
        if (rc == 0) continue;
        const std::string name = task.query.name.empty() ? task.pattern : task.query.name;
        output.error(fmt::format("Error setting {}={} (section={}, set={}): {}", name, task.value,
                                 name_of(task.query.scope), task.query.set_id.empty() ? "<null>" : task.query.set_id,
                                 describe_legacy(rc)));
        return failed(output, rc);
    }
    return ExitCode::kOk;
}

ExitCode remove(Output& output, const AttributeTask& task, CibAccess& access, const xml::Node& cib) {
    const std::vector<FoundPair> found = matching(cib, task);
    if (task.pattern.empty() && found.size() > 1) return ambiguous(output, task, found);
    for (const FoundPair& one : found) {
        const std::string id(one.pair->id());
        const std::string name(one.pair->get("name"));
        const auto reply = access.call(delete_pair(task.query, id));
        const int rc = reply ? reply->rc : legacy_code(reply.error());
        if (rc != 0) return failed(output, rc);
        const bool option = task.query.scope != PairScope::kNodes && task.query.scope != PairScope::kStatus;
        // An id that was given is not repeated, as in the reference.
        output.line(fmt::format("Deleted {} {}: id={} name={}", name_of(task.query.scope),
                                option ? "option" : "attribute",
                                task.query.pair_id.empty() ? id : std::string("(null)"), name));
    }
    return ExitCode::kOk;
}

bool is_about_node(const AttributeTask& task) {
    return task.query.scope == PairScope::kNodes || task.query.scope == PairScope::kStatus;
}

// The name of the node that is meant. Errors: those of asking the cluster.
Result<std::string> target_node(const AttributeTask& task, bool live) {
    if (const auto named = attribute_target(task.node)) return *named;
    if (live) return local_node_name(program_invocation_short_name);
    std::string name(256, '\0');
    if (gethostname(name.data(), name.size() - 1) != 0) return systole::fail(Errc::kNotFound, "this host has no name");
    name.resize(name.find('\0'));
    return name;
}

ExitCode change_in_attribute_manager(Output& output, const AttributeTask& task) {
    AttributeChange change;
    change.name = task.query.name;
    change.pattern = task.pattern;
    change.node = task.query.node_name;
    change.set_id = task.query.set_id;
    change.remote_node = task.query.remote_node;
    if (task.kind == AttributeTask::Kind::kUpdate) change.value = task.value;
    change.wait_for = task.wait_for;
    const auto done = change_attribute(change);
    if (done) return ExitCode::kOk;
    output.fail(fmt::format("Could not {} {}: {}", task.kind == AttributeTask::Kind::kUpdate ? "update" : "delete",
                            task.pattern.empty() ? task.query.name : task.pattern, done.error().what));
    return exit_code_of(done.error());
}

}  // namespace

std::string without_instance(std::string id) {
    const auto colon = id.rfind(':');
    if (colon != std::string::npos && id.find_first_not_of("0123456789", colon + 1) == std::string::npos)
        id.resize(colon);
    return id;
}

ExitCode run_attribute_task(Output& output, AttributeTask task) {
    const bool live = cib_source().kind == CibSource::Kind::kLive;
    auto access = open_cib(cib_source(), log_to(output));
    if (!access) {
        output.fail(fmt::format("Could not connect to the CIB: {}", access.error().what));
        return exit_code_of_legacy(legacy_code(access.error()));
    }
    const auto cib = (*access)->query();
    if (!cib) return failed(output, legacy_code(cib.error()));
    if (is_about_node(task)) {
        const auto name = target_node(task, live);
        if (!name) {
            output.fail(fmt::format("Could not learn the local node's name: {}", name.error().what));
            return exit_code_of(name.error());
        }
        const auto node = find_node(**cib, *name);
        if (!node) {
            output.fail(fmt::format("Could not map name={} to a UUID", *name));
            return ExitCode::kNoSuchObject;
        }
        task.query.node_id = node->id;
        task.query.node_name = node->name;
        task.query.remote_node = node->remote;
    }
    if (live && task.query.scope == PairScope::kStatus && task.kind != AttributeTask::Kind::kQuery)
        return change_in_attribute_manager(output, task);
    switch (task.kind) {
        case AttributeTask::Kind::kQuery: return query(output, task, **cib);
        case AttributeTask::Kind::kUpdate: return update(output, task, **access, **cib);
        case AttributeTask::Kind::kDelete: return remove(output, task, **access, **cib);
    }
    return ExitCode::kError;
}

}  // namespace systole::cli
