#pragma once
// cli/result_codes.h — names and texts of the three families of result codes, as crm_error shows them.
// Source: crm_error(8) and its recorded output.
#include <string>
#include <vector>

namespace systole::cli {

enum class CodeFamily : std::uint8_t {
    kLegacy,  ///< errno values and 200 upwards
    kReturn,  ///< errno values and -1001 downwards
    kExit,    ///< exit statuses
};

struct CodeText {
    int code;
    std::string name;
    std::string text;
};

CodeText explain(CodeFamily family, int code);
/// In order of codes.
std::vector<CodeText> all_codes(CodeFamily family);

}  // namespace systole::cli
