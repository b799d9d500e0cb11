// Executes CIB operations given on standard input, for comparison with the reference tools.
//
// One request a line, fields separated by the unit separator (0x1f): CIB, operation, section or XPath, options
// (decimal), input (may be empty), user (may be empty). The answer is one line: exit status, resulting CIB, answer,
// patchset.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "base/text.h"
#include "cib/operations.h"
#include "cib/patchset.h"
#include "xml/parse.h"
#include "xml/write.h"

namespace {

using namespace systole;

std::string answer(const std::vector<std::string>& fields) {
    const auto cib = xml::parse(fields[0]);
    if (!cib) return fmt::format("999\x1f{}", cib.error().what);
    xml::NodePtr input;
    if (!fields[4].empty()) {
        const auto parsed = xml::parse(fields[4]);
        if (!parsed) return fmt::format("999\x1f{}", parsed.error().what);
        input = *parsed;
    }
    const auto options = static_cast<std::uint32_t>(parse_integer(fields[3]).value_or(0));
    xml::Builder request(*cib::make_request(cib::parse_op(fields[1]), fields[2], input, options));
    request.set_unless_empty("cib_user", fields[5]);
    const xml::NodePtr message = std::move(request).build();
    const cib::Outcome o = cib::execute(*cib, cib::read_request(message), {});
    const auto text = [](const xml::NodePtr& node) { return node ? xml::write(*node) : std::string{}; };
    // A patchset is only worth something if it leads to the same result.
    std::string patched = "-";
    if (o.patchset && (options & cib::option::kDryRun) == 0) {
        const cib::Patched p = cib::apply_patchset(*cib, *o.patchset);
        patched = p.rc != 0                                  ? fmt::format("rc {} {}", p.rc, p.why)
                  : p.cib && xml::deep_equal(*p.cib, *o.cib) ? "same"
                                                             : "differs: " + text(p.cib);
    }
    return fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}", static_cast<int>(exit_code_of_legacy(o.rc)), text(o.cib),
                       text(o.output), text(o.patchset), patched);
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::vector<std::string> fields;
        std::size_t at = 0;
        for (;;) {
            const std::size_t end = line.find('\x1f', at);
            fields.push_back(line.substr(at, end == std::string::npos ? end : end - at));
            if (end == std::string::npos) break;
            at = end + 1;
        }
        fields.resize(6);
        std::cout << answer(fields) << std::endl;
    }
    return 0;
}
