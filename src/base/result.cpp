#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace systole {

void assertion_failed(const char* condition, const char* why, const char* file, int line) {
    std::fprintf(stderr, "systole: %s:%d: broken promise: %s (%s)\n", file, line, why, condition);
    std::abort();
}

}  // namespace systole
