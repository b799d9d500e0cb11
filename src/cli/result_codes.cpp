#include "cli/result_codes.h"

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/exit_code.h"

namespace systole::cli {
namespace {

struct Row {
    int code;
    const char* name;
    const char* text;
};

constexpr std::array kReturnCodes{
    Row{-1043, "pcmk_rc_digest_mismatch", "Digest does not match expected value"},
    Row{-1042, "pcmk_rc_cs_internal", "Internal corosync error"},
    Row{-1041, "pcmk_rc_ipc_more", "More IPC message fragments to send"},
    Row{-1040, "pcmk_rc_no_dc", "DC is not yet elected"},
    Row{-1039, "pcmk_rc_compression", "Compression/decompression error"},
    Row{-1038, "pcmk_rc_ns_resolution", "Nameserver resolution error"},
    Row{-1037, "pcmk_rc_no_transaction", "No active transaction found"},
    Row{-1036, "pcmk_rc_bad_xml_patch", "Bad XML patch format"},
    Row{-1035, "pcmk_rc_bad_input", "Bad input value provided"},
    Row{-1034, "pcmk_rc_disabled", "Disabled"},
    Row{-1033, "pcmk_rc_duplicate_id", "Two or more XML elements have the same ID"},
    Row{-1032, "pcmk_rc_unpack_error", "Unable to parse CIB XML"},
    Row{-1031, "pcmk_rc_invalid_transition", "Cluster simulation produced invalid transition"},
    Row{-1030, "pcmk_rc_graph_error", "Error writing graph file"},
    Row{-1029, "pcmk_rc_dot_error", "Error writing dot(1) file"},
    Row{-1028, "pcmk_rc_underflow", "Value too small to be stored in data type"},
    Row{-1027, "pcmk_rc_no_input", "Input file not available"},
    Row{-1026, "pcmk_rc_no_output", "Output message produced no output"},
    Row{-1025, "pcmk_rc_after_range", "Result occurs after given range"},
    Row{-1024, "pcmk_rc_within_range", "Result occurs within given range"},
    Row{-1023, "pcmk_rc_before_range", "Result occurs before given range"},
    Row{-1022, "pcmk_rc_undetermined", "Result undetermined"},
    Row{-1021, "pcmk_rc_op_unsatisfied", "Not applicable under current conditions"},
    Row{-1020, "pcmk_rc_ipc_pid_only", "IPC server process is active but not accepting connections"},
    Row{-1019, "pcmk_rc_ipc_unresponsive", "IPC server is unresponsive"},
    Row{-1018, "pcmk_rc_ipc_unauthorized", "IPC server is blocked by unauthorized process"},
    Row{-1017, "pcmk_rc_no_quorum", "Operation requires quorum"},
    Row{-1016, "pcmk_rc_schema_validation", "Update does not conform to the configured schema"},
    Row{-1015, "pcmk_rc_schema_unchanged", "Schema is already the latest available"},
    Row{-1014, "pcmk_rc_transform_failed", "Schema transform failed"},
    Row{-1013, "pcmk_rc_old_data", "Update was older than existing configuration"},
    Row{-1012, "pcmk_rc_diff_failed", "Application of update diff failed"},
    Row{-1011, "pcmk_rc_diff_resync", "Application of update diff failed, requesting full refresh"},
    Row{-1010, "pcmk_rc_cib_modified", "On-disk configuration was manually modified"},
    Row{-1009, "pcmk_rc_cib_backup", "Could not archive previous configuration"},
    Row{-1008, "pcmk_rc_cib_save", "Could not save new configuration to disk"},
    Row{-1007, "pcmk_rc_cib_corrupt", "Could not parse on-disk configuration"},
    Row{-1006, "pcmk_rc_multiple", "Resource active on multiple nodes"},
    Row{-1005, "pcmk_rc_node_unknown", "Node not found"},
    Row{-1004, "pcmk_rc_already", "Already in requested state"},
    Row{-1003, "pcmk_rc_bad_nvpair", "Bad name/value pair given"},
    Row{-1002, "pcmk_rc_unknown_format", "Unknown output format"},
    Row{-1001, "pcmk_rc_error", "Error"},
    Row{0, "pcmk_rc_ok", "OK"},
};

constexpr std::array kLegacyCodes{
    Row{201, "pcmk_err_generic", "Error"},
    Row{202, "pcmk_err_no_quorum", "Operation requires quorum"},
    Row{203, "pcmk_err_schema_validation", "Update does not conform to the configured schema"},
    Row{204, "pcmk_err_transform_failed", "Schema transform failed"},
    Row{205, "pcmk_err_old_data", "Update was older than existing configuration"},
    Row{206, "pcmk_err_diff_failed", "Application of update diff failed"},
    Row{207, "pcmk_err_diff_resync", "Application of update diff failed, requesting full refresh"},
    Row{208, "pcmk_err_cib_modified", "On-disk configuration was manually modified"},
    Row{209, "pcmk_err_cib_backup", "Could not archive previous configuration"},
    Row{210, "pcmk_err_cib_save", "Could not save new configuration to disk"},
    Row{211, "pcmk_err_schema_unchanged", "Schema is already the latest available"},
    Row{212, "pcmk_err_cib_corrupt", "Could not parse on-disk configuration"},
    Row{213, "pcmk_err_multiple", "Resource active on multiple nodes"},
    Row{214, "pcmk_err_node_unknown", "Node not found"},
    Row{215, "pcmk_err_already", "Already in requested state"},
    Row{216, "pcmk_err_bad_nvpair", "Bad name/value pair given"},
    Row{217, "pcmk_err_unknown_format", "Unknown output format"},
};

template <class Table>
const Row* find(const Table& table, int code) {
    for (const Row& row : table) {
        if (row.code == code) return &row;
    }
    return nullptr;
}

CodeText errno_text(int code) {
    const char* name = strerrorname_np(code);
    return {code, name == nullptr ? "Unknown" : name, name == nullptr ? "Error" : std::strerror(code)};
}

}  // namespace

CodeText explain(CodeFamily family, int code) {
    if (family == CodeFamily::kExit) {
        const bool valid = code >= 0 && code <= 255;
        const ExitCode exit = valid ? static_cast<ExitCode>(code) : static_cast<ExitCode>(255);
        return {code, std::string(name_of(exit)), std::string(describe(exit))};
    }
    const Row* row = family == CodeFamily::kReturn ? find(kReturnCodes, code) : find(kLegacyCodes, std::abs(code));
    if (row != nullptr) return {code, row->name, row->text};
    if (family == CodeFamily::kLegacy && code == 0) return {0, "pcmk_ok", "OK"};
    const int number = family == CodeFamily::kLegacy ? std::abs(code) : code;
    if (number > 0 && strerrorname_np(number) != nullptr) {
        CodeText text = errno_text(number);
        text.code = code;
        return text;
    }
    return {code, "Unknown", "Error"};
}

std::vector<CodeText> all_codes(CodeFamily family) {
    std::vector<CodeText> codes;
    if (family == CodeFamily::kExit) {
        for (int code = 0; code <= 255; ++code) {
            if (name_of(static_cast<ExitCode>(code)) != "CRM_EX_UNKNOWN") codes.push_back(explain(family, code));
        }
        return codes;
    }
    if (family == CodeFamily::kReturn) {
        for (const Row& row : kReturnCodes) codes.push_back({row.code, row.name, row.text});
    }
    for (int code = 1; code < 200; ++code) {
        if (strerrorname_np(code) != nullptr) codes.push_back(errno_text(code));
    }
    if (family == CodeFamily::kLegacy) {
        for (const Row& row : kLegacyCodes) codes.push_back({row.code, row.name, row.text});
    }
    return codes;
}

}  // namespace systole::cli
