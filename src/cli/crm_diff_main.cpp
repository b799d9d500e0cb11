// crm_diff — the difference between two configurations as a patchset, and a patchset applied to a configuration.
#include <fmt/format.h>

#include "base/exit_code.h"
#include "cib/patchset.h"
#include "cli/command.h"
#include "cli/files.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace systole::cli {
namespace {

CommandSpec spec() {
    CommandSpec s;
    s.name = "crm_diff";
    s.summary =
        "Compare two Pacemaker configurations (in XML format) to produce a custom diff-like output,\n"
        "or apply such an output as a patch";
    s.formats = {"text", "xml", "json"};
    s.groups = {
        {"xml",
         "Original XML:",
         "Show original XML options",
         {{'o', "original", Value::kRequired, "FILE", "XML is contained in the named file"},
          {'O', "original-string", Value::kRequired, "STRING", "XML is contained in the supplied string"}}},
        {"operation",
         "Operation:",
         "Show operation options",
         {{'n', "new", Value::kRequired, "FILE", "Compare the original XML to the contents of the named file"},
          {'N', "new-string", Value::kRequired, "STRING",
           "Compare the original XML with the contents of the supplied string"},
          {'p', "patch", Value::kRequired, "FILE", "Patch the original XML with the contents of the named file"}}},
        {"additional",
         "Additional Options:",
         "Show additional options",
         {{'c', "cib", Value::kNone, "", "Compare/patch the inputs as a CIB (includes versions details)"},
          {'s', "stdin", Value::kNone, "", ""},
          {'u', "no-version", Value::kNone, "", "Generate the difference without versions details"}}}};
    s.notes =
        "Examples:\n\n"
        "Obtain the two different configuration files by running cibadmin on the two cluster setups to compare:\n\n"
        "\t# cibadmin --query > cib-old.xml\n\n"
        "\t# cibadmin --query > cib-new.xml\n\n"
        "Calculate and save the difference between the two files:\n\n"
        "\t# crm_diff --original cib-old.xml --new cib-new.xml > patch.xml\n\n"
        "Apply the patch to the original file:\n\n"
        "\t# crm_diff --original cib-old.xml --patch patch.xml > updated.xml\n\n"
        "Apply the patch to the running cluster:\n\n"
        "\t# cibadmin --patch -x patch.xml";
    return s;
}

// Document from a file (or "-", standard input) or from text, whichever was given.
Result<xml::NodePtr> given_xml(const Arguments& arguments, const char* file, const char* string) {
    if (const auto text = arguments.value(string)) {
        auto tree = xml::parse(*text);
        if (!tree) return fail(Errc::kInvalid, fmt::format("--{}: {}", string, tree.error().what));
        return tree;
    }
    if (const auto path = arguments.value(file)) return read_xml_file(*path);
    return fail(Errc::kNotFound, fmt::format("--{} is missing", file));
}

void show(Output& output, const char* name, const xml::Node& tree) {
    const std::string text = xml::write(tree, {.pretty = true});
    output.text(text);
    output.add(xml::Builder(name).add(xml::Builder::cdata(text)));
}

// Counters of versions that differ are no difference between configurations.
xml::NodePtr with_versions_of(const xml::Node& from, const xml::Node& tree) {
    xml::Builder copy(tree);
    for (const char* name : {"admin_epoch", "epoch", "num_updates"}) {
        if (const auto value = from.attribute(name); value && copy.has(name)) copy.set(name, *value);
    }
    return std::move(copy).build();
}

ExitCode make_patch(const xml::NodePtr& before, xml::NodePtr after, const Arguments& arguments, Output& output) {
    const bool as_cib = arguments.has("cib");
    const bool unversioned = arguments.has("no-version");
    if (unversioned) after = with_versions_of(*before, *after);
    auto patchset = cib::make_patchset(before, after, as_cib,
                                       as_cib ? cib::AttributeOrder::kIgnored : cib::AttributeOrder::kCounts);
    if (!patchset) return ExitCode::kOk;
    if (unversioned) {
        xml::Builder bare(*patchset);
        for (std::size_t i = bare.children().size(); i-- > 0;) {
            if (bare.children()[i]->is("version")) bare.erase(i);
        }
        patchset = std::move(bare).build();
    }
    show(output, "patchset", *patchset);
    return ExitCode::kError;
}

ExitCode run(const Arguments& arguments, Output& output) {
    const bool as_cib = arguments.has("cib");
    if (as_cib && arguments.has("no-version")) {
        output.fail("-u/--no-version incompatible with -c/--cib");
        return ExitCode::kUsage;
    }
    const bool patches = arguments.has("patch");
    if (patches && arguments.has("no-version")) output.error("Warning: -u/--no-version ignored with -p/--patch");
    if (!arguments.has("original") && !arguments.has("original-string")) {
        output.fail("Could not parse the first XML fragment");
        return ExitCode::kData;
    }
    const auto before = given_xml(arguments, "original", "original-string");
    if (!before) {
        output.fail(fmt::format("Could not parse the first XML fragment: {}", before.error().what));
        return before.error().code == Errc::kNotFound ? ExitCode::kNoInput : ExitCode::kData;
    }
    // With --stdin the other document comes from there.
    const auto after = arguments.has("stdin") && !patches && !arguments.has("new") && !arguments.has("new-string")
                           ? read_xml_file("-")
                       : patches ? given_xml(arguments, "patch", "")
                                 : given_xml(arguments, "new", "new-string");
    if (!after) {
        output.fail(fmt::format("Could not parse the second XML fragment: {}", after.error().what));
        return after.error().code == Errc::kNotFound ? ExitCode::kNoInput : ExitCode::kData;
    }
    if (!patches) return make_patch(*before, *after, arguments, output);
    const auto patched =
        cib::apply_patchset(*before, **after, as_cib ? cib::VersionCheck::kStrict : cib::VersionCheck::kNone);
    if (patched.rc != 0) {
        output.fail(fmt::format("Could not apply patch: {}", describe_legacy(patched.rc)));
        output.log(Severity::kInfo, "crm_diff", patched.why);
        return exit_code_of_legacy(patched.rc);
    }
    show(output, "updated", *patched.cib);
    return ExitCode::kOk;
}

}  // namespace
}  // namespace systole::cli

int main(int argc, char** argv) {
    return systole::cli::command_main(systole::cli::spec(), argc, argv, systole::cli::run);
}
