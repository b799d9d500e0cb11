#pragma once
// transition/key.h — the text by which an operation's result finds the action that asked for it.
// Source: protocol sheet controller.md, section 6 (transition key, magic).
#include <compare>
#include <string>
#include <string_view>

#include "base/exit_code.h"
#include "base/result.h"

namespace systole::transition {

/// "ACTION:TRANSITION:TARGET_RC:UUID". Transition -1 marks an action from outside of any transition.
struct Key {
    int action = 0;
    int transition = -1;
    int target_rc = 0;
    std::string uuid;  ///< of the transition engine that made it; always 36 characters
    auto operator<=>(const Key&) const = default;
};

std::string to_string(const Key& key);
/// Errors: kInvalid naming the text.
Result<Key> parse_key(std::string_view text);

/// "OP_STATUS:RC;KEY" as history records carry it.
struct Magic {
    ExecStatus status = ExecStatus::kUnknown;
    int rc = 0;
    Key key;
};

std::string to_string(const Magic& magic);
Result<Magic> parse_magic(std::string_view text);

}  // namespace systole::transition
