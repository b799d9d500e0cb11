// crm_shadow — copies of the configuration to try changes on.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/exit_code.h"
#include "cib/operations.h"
#include "cib/patchset.h"
#include "cib/rc.h"
#include "cli/cib_access.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/patchset_text.h"
#include "cli/schema_directory.h"
#include "wire/message.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_shadow";
    s.usage = "<query>|<command> [options]";
    s.summary =
        "perform Pacemaker configuration changes in a sandbox\n\n"
        "This command sets up an environment in which configuration tools (cibadmin,\n"
        "crm_resource, etc.) work offline instead of against a live cluster, allowing\n"
        "changes to be previewed and tested for side effects.";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"queries",
         "Queries:",
         "Show query help",
         {{'w', "which", Value::kNone, "", "Indicate the active shadow copy"},
          {'p', "display", Value::kNone, "", "Display the contents of the active shadow copy"},
          {'d', "diff", Value::kNone, "", "Display the changes in the active shadow copy"},
          {'F', "file", Value::kNone, "", "Display the location of the active shadow copy file"}}},
        {"commands",
         "Commands:",
         "Show command help",
         {{'c', "create", Value::kRequired, "name", "Create the named shadow copy of the active cluster configuration"},
          {'e', "create-empty", Value::kRequired, "name",
           "Create the named shadow copy with an empty cluster configuration.\nOptional: --validate-with"},
          {'C', "commit", Value::kRequired, "name", "Upload the contents of the named shadow copy to the cluster"},
          {'D', "delete", Value::kRequired, "name", "Delete the contents of the named shadow copy"},
          {'E', "edit", Value::kNone, "", "Edit the contents of the active shadow copy with your favorite $EDITOR"},
          {'r', "reset", Value::kRequired, "name", "Recreate named shadow copy from the active cluster configuration"},
          {'s', "switch", Value::kRequired, "name", "(Advanced) Switch to the named shadow copy"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'f', "force", Value::kNone, "", "(Advanced) Force the action to be performed"},
          {'b', "batch", Value::kNone, "", "(Advanced) Don't spawn a new shell"},
          {'a', "all", Value::kNone, "", "(Advanced) Upload entire CIB, including status, with --commit"},
          {'v', "validate-with", Value::kRequired, "schema", "(Advanced) Create an older configuration version"}}}};
    s.notes =
        "Examples:\n\n"
        "Create a blank shadow configuration:\n\n\t# crm_shadow --create-empty myShadow\n\n"
        "Create a shadow configuration from the running cluster:\n\n\t# crm_shadow --create myShadow\n\n"
        "Display the current shadow configuration:\n\n\t# crm_shadow --display\n\n"
        "Discard the current shadow configuration (named myShadow):\n\n\t# crm_shadow --delete myShadow --force\n\n"
        "Upload current shadow configuration (named myShadow) to running cluster:\n\n\t# crm_shadow --commit myShadow";
    return s;
}

constexpr std::array<std::string_view, 11> kCommands{"which",  "display", "diff", "file",  "create", "create-empty",
                                                     "commit", "delete",  "edit", "reset", "switch"};

constexpr const char* kForceCluster =
    "To prevent accidental destruction of the cluster, the --force flag is required in order to proceed.";
constexpr const char* kForceShadow =
    "To prevent accidental destruction of the shadow file, the --force flag is required in order to proceed.";

class CrmShadow {
public:
    CrmShadow(const Arguments& arguments, Output& output) : arguments_(arguments), output_(output) {
        if (const char* active = std::getenv("CIB_shadow")) active_ = active;
        force_ = arguments_.has("force");
        batch_ = arguments_.has("batch");
    }

    ExitCode run() {
        std::string_view command;
        for (const Given& given : arguments_.given) {
            for (const std::string_view name : kCommands) {
                if (given.name == name) command = name;
            }
        }
        if (command.empty()) {
            output_.fail("No query or command option supplied\n\n" + *help_text(spec(), ""));
            return ExitCode::kUsage;
        }
        const std::string name = arguments_.value(command).value_or("");
        if (command == "create") return create(name);
        if (command == "create-empty") return create_empty(name);
        if (command == "commit") return commit(name);
        if (command == "delete") return remove(name);
        if (command == "reset") return reset(name);
        if (command == "switch") return switch_to(name);
        if (active_.empty()) {
            output_.fail("No active shadow configuration defined");
            return ExitCode::kNoSuchObject;
        }
        if (command == "which") {
            output_.line(active_);
            output_.add(xml::Builder("shadow").set("instance", active_));
            return ExitCode::kOk;
        }
        if (command == "file") {
            output_.line(shadow_path(active_));
            output_.add(xml::Builder("shadow").set("instance", active_).set("file", shadow_path(active_)));
            return ExitCode::kOk;
        }
        if (command == "display") return display();
        if (command == "edit") return edit();
        return diff();
    }

private:
    // What the copies are of: the cluster's CIB, or that of CIB_file.
    Result<std::unique_ptr<CibAccess>> connect() {
        auto access = open_cib(cib_source(Shadow::kIgnore), log_to(output_));
        if (!access) {
            output_.fail(fmt::format("Could not connect to CIB: {}", describe_legacy(legacy_code(access.error()))));
            output_.log(Severity::kWarning, "crm_shadow", access.error().what);
        }
        return access;
    }

    Result<xml::NodePtr> query() {
        auto access = connect();
        if (!access) return tl::unexpected(access.error());
        auto cib = (*access)->query();
        if (!cib) output_.fail(fmt::format("Could not query the CIB: {}", cib.error().what));
        return cib;
    }

    static ExitCode code_of(const Error& error) { return exit_code_of_legacy(legacy_code(error)); }

    bool exists(const std::string& name) const { return access(shadow_path(name).c_str(), F_OK) == 0; }

    // The copy's content. Errors were told.
    Result<xml::NodePtr> read(const std::string& name) {
        const std::string path = shadow_path(name);
        if (access(path.c_str(), R_OK) != 0) {
            output_.fail(fmt::format("Could not access shadow instance '{}': {}", name, std::strerror(errno)));
            return fail(Errc::kNotFound, path);
        }
        auto cib = read_xml_file(path);
        if (!cib) output_.fail(fmt::format("Could not read shadow instance '{}': {}", name, cib.error().what));
        return cib;
    }

    ExitCode write(const std::string& name, const xml::Node& cib) {
        const std::string path = shadow_path(name);
        if (const auto done = replace_file(path, xml::write(cib, {.pretty = true})); !done) {
            output_.fail(fmt::format("Could not create the shadow instance '{}': {}", name, done.error().what));
            return ExitCode::kCannotCreate;
        }
        return ExitCode::kOk;
    }

    ExitCode refuse_mismatch(const std::string& what, const std::string& name, const char* force) {
        std::string text = what + "\n";
        if (!active_.empty() && active_ != name) {
            text +=
                fmt::format("Additionally, the supplied shadow instance ({}) is not the same as the active one ({}).\n",
                            name, active_);
        }
        output_.fail(text + force);
        return ExitCode::kUsage;
    }

    bool taken(const std::string& name) {
        if (force_ || !exists(name)) return false;
        output_.fail(fmt::format("A shadow instance '{}' already exists.\n{}", name, kForceShadow));
        return true;
    }

    ExitCode create(const std::string& name) {
        if (taken(name)) return ExitCode::kCannotCreate;
        const auto cib = query();
        if (!cib) return code_of(cib.error());
        if (const auto done = write(name, **cib); done != ExitCode::kOk) return done;
        return enter(name, "A new shadow instance was created.");
    }

    ExitCode create_empty(const std::string& name) {
        if (taken(name)) return ExitCode::kCannotCreate;
        const auto schemas = open_schemas();
        const std::string schema = arguments_.value("validate-with").value_or(schemas->newest());
        if (!schemas->knows(schema)) {
            output_.fail(fmt::format("Schema '{}' is unknown", schema));
            return ExitCode::kConfig;
        }
        const auto cib = cib::empty_cib(schema, wire::kFeatureSet);
        output_.line(fmt::format("Created new {} configuration", schema));
        if (const auto done = write(name, *cib); done != ExitCode::kOk) return done;
        return enter(name, "A new shadow instance was created.");
    }

    ExitCode reset(const std::string& name) {
        if (!force_) {
            return refuse_mismatch("The reset command overwrites the active shadow configuration.", name, kForceShadow);
        }
        const auto cib = query();
        if (!cib) return code_of(cib.error());
        if (const auto done = write(name, **cib); done != ExitCode::kOk) return done;
        return enter(name, "A new shadow instance was created.");
    }

    ExitCode commit(const std::string& name) {
        if (!force_) {
            return refuse_mismatch("The commit command overwrites the active cluster configuration.", name,
                                   kForceCluster);
        }
        const auto shadow = read(name);
        if (!shadow) return ExitCode::kNoSuchObject;
        auto access = connect();
        if (!access) return code_of(access.error());
        CibCall call{.op = cib::Op::kReplace, .input = *shadow};
        if (!arguments_.has("all")) {
            call.section = "configuration";
            call.input = (*shadow)->child_ptr("configuration");
            if (!call.input) {
                output_.fail(fmt::format("Shadow instance '{}' has no configuration", name));
                return ExitCode::kConfig;
            }
        }
        const auto reply = (*access)->call(call);
        if (!reply) {
            output_.fail(fmt::format("Could not commit shadow instance '{}' to the CIB: {}", name, reply.error().what));
            return code_of(reply.error());
        }
        if (reply->rc != 0) {
            output_.fail(
                fmt::format("Could not commit shadow instance '{}' to the CIB: {}", name, describe_legacy(reply->rc)));
            if (!reply->why.empty()) output_.log(Severity::kWarning, "crm_shadow", reply->why);
            return exit_code_of_legacy(reply->rc);
        }
        return ExitCode::kOk;
    }

    ExitCode remove(const std::string& name) {
        if (!force_) {
            return refuse_mismatch("The delete command removes the specified shadow file.", name, kForceShadow);
        }
        if (unlink(shadow_path(name).c_str()) != 0 && errno != ENOENT) {
            output_.fail(fmt::format("Could not remove shadow instance '{}': {}", name, std::strerror(errno)));
            return ExitCode::kIo;
        }
        if (active_ == name) {
            instruct(
                "Remember to unset the CIB_shadow variable by entering the following into your shell:\n"
                "\tunset CIB_shadow");
        }
        return ExitCode::kOk;
    }

    ExitCode switch_to(const std::string& name) {
        if (!exists(name)) {
            output_.fail(fmt::format("Could not access shadow instance '{}': {}", name, std::strerror(errno)));
            return ExitCode::kNoSuchObject;
        }
        return enter(name, "");
    }

    ExitCode display() {
        const auto cib = read(active_);
        if (!cib) return ExitCode::kNoSuchObject;
        const std::string text = xml::write(**cib, {.pretty = true});
        output_.text(text);
        output_.add(xml::Builder("shadow")
                        .set("instance", active_)
                        .add(std::move(xml::Builder("content").add(xml::Builder::cdata(text)))));
        return ExitCode::kOk;
    }

    ExitCode diff() {
        const auto shadow = read(active_);
        if (!shadow) return ExitCode::kNoSuchObject;
        const auto live = query();
        if (!live) return code_of(live.error());
        const auto patchset = cib::make_patchset(*live, *shadow, false, cib::AttributeOrder::kCounts);
        xml::Builder element("shadow");
        element.set("instance", active_);
        if (!patchset) {
            output_.add(std::move(element));
            return ExitCode::kOk;
        }
        output_.text(patchset_text(*patchset));
        element.add(
            std::move(xml::Builder("xml-patchset").add(xml::Builder::cdata(xml::write(*patchset, {.pretty = true})))));
        output_.add(std::move(element));
        return ExitCode::kError;
    }

    ExitCode edit() {
        if (!exists(active_)) {
            output_.fail(fmt::format("Could not access shadow instance '{}': {}", active_, std::strerror(errno)));
            return ExitCode::kNoSuchObject;
        }
        const char* editor = std::getenv("EDITOR");
        if (editor == nullptr || *editor == '\0') {
            output_.fail("No value for EDITOR defined");
            return ExitCode::kNotConfigured;
        }
        output_.flush();
        const std::string path = shadow_path(active_);
        const pid_t child = fork();
        if (child == 0) {
            execlp("sh", "sh", "-c", "exec $EDITOR \"$1\"", "sh", path.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            output_.fail(fmt::format("Could not edit shadow instance '{}' with {}", active_, editor));
            return ExitCode::kOsError;
        }
        return ExitCode::kOk;
    }

    void instruct(const std::string& text) {
        output_.line(text);
        output_.add(xml::Builder("instruction").add(xml::Builder::text(text)));
    }

    // From here on the user works on the copy: in a new shell, or told how.
    ExitCode enter(const std::string& name, const std::string& why) {
        const char* shell = std::getenv("SHELL");
        if (batch_ || output_.is_structured() || shell == nullptr || *shell == '\0') {
            const std::string how = why.empty() ? "To switch to the named shadow instance" : why + " To begin using it";
            instruct(fmt::format("{}, enter the following into your shell:\n\texport CIB_shadow={}", how, name));
            return ExitCode::kOk;
        }
        output_.line("Setting up shadow instance");
        output_.line("Type Ctrl-D to exit the crm_shadow shell");
        output_.flush();
        setenv("CIB_shadow", name.c_str(), 1);
        setenv("PS1", fmt::format("shadow[{}] # ", name).c_str(), 1);
        if (std::string_view(shell).ends_with("bash")) {
            execl(shell, shell, "--norc", "--noprofile", static_cast<char*>(nullptr));
        } else {
            execl(shell, shell, static_cast<char*>(nullptr));
        }
        output_.fail(fmt::format("Could not launch shell {}: {}", shell, std::strerror(errno)));
        return ExitCode::kOsError;
    }

    const Arguments& arguments_;
    Output& output_;
    std::string active_;
    bool force_ = false;
    bool batch_ = false;
};

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv,
                                      [](const systole::cli::Arguments& arguments, systole::cli::Output& output) {
                                          return systole::cli::CrmShadow(arguments, output).run();
                                      });
}
