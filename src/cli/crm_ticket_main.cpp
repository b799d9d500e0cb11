// crm_ticket — the tickets that tell sites of a multi-site cluster which may run what.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/local_time.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_ticket";
    s.summary =
        "Perform tasks related to cluster tickets\n\nAllows ticket attributes to be queried, modified and deleted.";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"queries",
         "Queries:",
         "Show queries",
         {{'l', "info", Value::kNone, "", "Display the information of ticket(s)"},
          {'L', "details", Value::kNone, "", "Display the details of ticket(s)"},
          {'w', "raw", Value::kNone, "", "Display the IDs of ticket(s)"},
          {'q', "query-xml", Value::kNone, "", "Query the XML of ticket(s)"},
          {'c', "constraints", Value::kNone, "", "Display the rsc_ticket constraints that apply to ticket(s)"}}},
        {"commands",
         "Commands:",
         "Show command options",
         {{'g', "grant", Value::kNone, "", "Grant a ticket to this cluster site"},
          {'r', "revoke", Value::kNone, "", "Revoke a ticket from this cluster site"},
          {'s', "standby", Value::kNone, "", "Tell this cluster site this ticket is standby"},
          {'a', "activate", Value::kNone, "", "Tell this cluster site this ticket is active"}}},
        {"advanced",
         "Advanced Options:",
         "Show advanced options",
         {{'G', "get-attr", Value::kRequired, "ATTRIBUTE", "Display the named attribute for a ticket"},
          {'S', "set-attr", Value::kRequired, "ATTRIBUTE", "Set the named attribute for a ticket"},
          {'D', "delete-attr", Value::kRequired, "ATTRIBUTE", "Delete the named attribute for a ticket"},
          {'C', "cleanup", Value::kNone, "", "Delete all state of a ticket at this cluster site"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'v', "attr-value", Value::kRequired, "VALUE", "Attribute value to use with -S"},
          {'d', "default", Value::kRequired, "VALUE",
           "(Advanced) Default attribute value to display if none is found\n(for use with -G)"},
          {'f', "force", Value::kNone, "", "(Advanced) Force the action to be performed"},
          {'t', "ticket", Value::kRequired, "ID", "Ticket ID"}}}};
    s.options = {{'Q', "quiet", Value::kNone, "", "Print only the value on stdout"}};
    return s;
}

const xml::Node* tickets_of(const xml::Node& cib) {
    const xml::Node* status = cib.child("status");
    return status == nullptr ? nullptr : status->child("tickets");
}

std::vector<const xml::Node*> states(const xml::Node& cib, const std::string& id) {
    std::vector<const xml::Node*> found;
    if (const xml::Node* tickets = tickets_of(cib)) {
        for (const xml::NodePtr& state : tickets->children()) {
            if (state->is("ticket_state") && (id.empty() || state->id() == id)) found.push_back(state.get());
        }
    }
    return found;
}

ExitCode finish(Output& output, const Result<CibReply>& reply) {
    const int rc = reply ? reply->rc : legacy_code(reply.error());
    if (rc == 0) return ExitCode::kOk;
    output.fail(fmt::format("Error performing operation: {}", describe_legacy(rc)));
    return exit_code_of_legacy(rc);
}

ExitCode not_found(Output& output, std::string_view what) {
    output.fail(fmt::format("{}: No such device or address", what));
    return ExitCode::kNoSuchObject;
}

// --- queries ---

enum class Detail : std::uint8_t { kIds, kInfo, kDetails };

ExitCode show(Output& output, const std::vector<const xml::Node*>& found, Detail detail) {
    xml::Builder all("tickets");
    for (const xml::Node* state : found) {
        const bool granted = parse_bool(state->get("granted")).value_or(false);
        const bool standby = parse_bool(state->get("standby")).value_or(false);
        const auto last = parse_integer(state->get("last-granted"));
        std::string line(state->id());
        std::vector<std::string> rest;
        xml::Builder ticket("ticket");
        ticket.set("id", state->id()).set("status", granted ? "granted" : "revoked");
        ticket.set("standby", standby ? "true" : "false");
        if (detail != Detail::kIds) {
            line += fmt::format("\t{}{}", granted ? "granted" : "revoked", standby ? " [standby]" : "");
        }
        if (last && *last > 0) {
            if (detail != Detail::kIds) line += fmt::format(" last-granted=\"{}\"", ctime_text(WallTime{*last}));
            ticket.set("last-granted", ctime_text(WallTime{*last}));
        }
        for (const xml::Attribute& attribute : state->attributes()) {
            const std::string_view name = attribute.name.view();
            if (name != "id" && name != "granted" && name != "last-granted") {
                rest.push_back(fmt::format("{}={}", name, attribute.value.view()));
            }
            if (name != "id" && name != "standby" && name != "last-granted") ticket.set(name, attribute.value.view());
        }
        if (detail == Detail::kDetails && !rest.empty()) line += fmt::format("\t({})", join(rest, ", "));
        output.line(line);
        all.add(std::move(ticket));
    }
    if (!found.empty()) output.add(std::move(all));
    return ExitCode::kOk;
}

ExitCode show_xml(Output& output, const std::vector<const xml::Node*>& found) {
    xml::Builder all("tickets");
    output.line("State XML:");
    output.blank_line();
    for (const xml::Node* state : found) {
        output.text(xml::write(*state, {.pretty = true}));
        xml::Builder ticket(*state);
        ticket.rename("ticket");
        all.add(std::move(ticket));
    }
    output.add(std::move(all));
    return ExitCode::kOk;
}

ExitCode show_constraints(Output& output, const xml::Node& cib, const std::string& id) {
    const xml::Node* configuration = cib.child("configuration");
    const xml::Node* constraints = configuration == nullptr ? nullptr : configuration->child("constraints");
    xml::Builder tickets("tickets");
    xml::Builder resources("resources");
    xml::Builder of_ticket("constraints");
    bool any = false;
    if (constraints != nullptr) {
        for (const xml::NodePtr& constraint : constraints->children()) {
            if (!constraint->is("rsc_ticket") || (!id.empty() && constraint->get("ticket") != id)) continue;
            if (!any) output.line("Constraints XML:");
            if (!any) output.blank_line();
            any = true;
            output.text(xml::write(*constraint, {.pretty = true}));
            of_ticket.add(constraint);
            if (constraint->has("rsc"))
                resources.add(xml::Builder("resource").set("id", constraint->get("rsc")).build());
        }
    }
    if (!any) return not_found(output, "Could not show ticket constraints");
    xml::Builder ticket("ticket");
    ticket.set_unless_empty("id", id).add(std::move(of_ticket));
    tickets.add(std::move(ticket));
    output.add(std::move(tickets));
    output.add(std::move(resources));
    return ExitCode::kOk;
}

ExitCode get(Output& output, const xml::Node* state, const std::string& id, const std::string& name,
             const std::optional<std::string>& fallback) {
    std::optional<std::string> value = fallback;
    if (state != nullptr && state->has(name)) value = std::string(state->get(name));
    if (!value) {
        return not_found(output, "Could not get ticket info");
    }
    output.line(*value);
    xml::Builder ticket("ticket");
    ticket.set("id", id).add(xml::Builder("attribute").set("name", name).set("value", *value).build());
    xml::Builder tickets("tickets");
    tickets.add(std::move(ticket));
    output.add(std::move(tickets));
    return ExitCode::kOk;
}

// --- changes ---

using Values = std::vector<std::pair<std::string, std::string>>;

ExitCode set(Output& output, CibAccess& access, const std::string& id, const Values& values) {
    xml::Builder state("ticket_state");
    state.set("id", id);
    for (const auto& [name, value] : values) state.set(name, value);
    xml::Builder tickets("tickets");
    tickets.add(std::move(state));
    return finish(output, access.call({.op = cib::Op::kModify,
                                       .section = "status",
                                       .input = std::move(tickets).build(),
                                       .options = cib::option::kCanCreate | cib::option::kSyncCall}));
}

ExitCode unset(Output& output, CibAccess& access, const xml::Node& state, const std::string& name) {
    xml::Builder without(state);
    without.unset(name);
    return finish(output, access.call({.op = cib::Op::kReplace,
                                       .section = "status",
                                       .input = std::move(without).build(),
                                       .options = cib::option::kSyncCall}));
}

// Only a person (or the ticket manager) can know that no other site holds the ticket.
ExitCode refuse(Output& output, const char* what, const std::string& id) {
    output.error(
        fmt::format("This command cannot help you verify whether '{}' has been already {} elsewhere.\n"
                    "If you really want to {} '{}' to this site now, and you know what you are doing,\n"
                    "please specify --force.",
                    id, "granted", what, id));
    output.fail("Ticket modification not allowed without --force");
    return ExitCode::kUnsafe;
}

ExitCode run(const Arguments& arguments, Output& output) {
    auto access = open_cib(cib_source(), log_to(output));
    auto cib = access ? (*access)->query() : Result<xml::NodePtr>(tl::unexpected(access.error()));
    if (!cib) {
        output.fail(fmt::format("Could not connect to the CIB: {}", cib.error().what));
        return exit_code_of_legacy(legacy_code(cib.error()));
    }
    const std::string id = arguments.value("ticket").value_or("");
    const std::vector<const xml::Node*> found = states(**cib, id);
    const xml::Node* state = id.empty() || found.empty() ? nullptr : found.front();

    if (arguments.has("raw") || arguments.has("info") || arguments.has("details")) {
        if (!id.empty() && found.empty()) {
            output.fail(fmt::format("No such ticket '{}'", id));
            return ExitCode::kNoSuchObject;
        }
        return show(output, found,
                    arguments.has("raw")       ? Detail::kIds
                    : arguments.has("details") ? Detail::kDetails
                                               : Detail::kInfo);
    }
    if (arguments.has("query-xml"))
        return found.empty() ? not_found(output, "Could not query ticket XML") : show_xml(output, found);
    if (arguments.has("constraints")) return show_constraints(output, **cib, id);

    Values values;
    bool asks_for_grant = false;
    bool asks_for_revoke = false;
    for (const Given& one : arguments.given) {
        if (one.name == "grant") {
            values.emplace_back("granted", "true");
        } else if (one.name == "revoke") {
            values.emplace_back("granted", "false");
        } else if (one.name == "standby") {
            values.emplace_back("standby", "true");
        } else if (one.name == "activate") {
            values.emplace_back("standby", "false");
        } else if (one.name == "set-attr") {
            if (!arguments.has("attr-value")) {
                output.fail("Must supply attribute value with -v for -S");
                return ExitCode::kUsage;
            }
            values.emplace_back(*one.value, *arguments.value("attr-value"));
        }
    }
    const auto get_name = arguments.value("get-attr");
    const auto delete_name = arguments.value("delete-attr");
    const bool acts = get_name || delete_name || !values.empty() || arguments.has("cleanup");
    if (!acts) return show(output, found, Detail::kInfo);
    if (id.empty()) {
        output.fail("Must supply ticket ID with -t");
        return ExitCode::kUsage;
    }
    for (auto& [name, value] : values) {
        if (name != "granted") continue;
        (parse_bool(value).value_or(false) ? asks_for_grant : asks_for_revoke) = true;
    }
    if (!arguments.has("force")) {
        if (asks_for_grant) return refuse(output, "grant", id);
        if (asks_for_revoke || delete_name == "granted") return refuse(output, "revoke", id);
    }
    if (get_name && values.empty() && !delete_name)
        return get(output, state, id, *get_name, arguments.value("default"));
    if (arguments.has("cleanup")) {
        if (state == nullptr) return not_found(output, "Could not get ticket info");
        if (!arguments.has("force") && parse_bool(state->get("granted")).value_or(false))
            return refuse(output, "revoke", id);
        return finish(output, (*access)->call({.op = cib::Op::kDelete,
                                               .section = "status",
                                               .input = xml::Builder("ticket_state").set("id", id).build(),
                                               .options = cib::option::kSyncCall}));
    }
    if (asks_for_grant) values.emplace_back("last-granted", fmt::format("{}", now().wall().seconds));
    if (!values.empty()) {
        const ExitCode code = set(output, **access, id, values);
        if (code != ExitCode::kOk || !delete_name) return code;
    }
    if (state == nullptr || !delete_name) return ExitCode::kOk;
    return unset(output, **access, *state, *delete_name);
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
