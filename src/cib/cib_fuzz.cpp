// cib/cib_fuzz.cpp — whatever a client or a peer says about whatever CIB must be answered or ignored, never more.
//
// The input is a CIB and a request, separated by a line with nothing but "--".
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "cib/manager.h"
#include "cib/patchset.h"
#include "cib/rc.h"
#include "xml/parse.h"
#include "xml/write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace systole;
    constexpr std::string_view kSeparator = "\n--\n";
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t middle = text.find(kSeparator);
    if (middle == std::string_view::npos) return 0;
    const auto cib = xml::parse(text.substr(0, middle));
    const auto message = xml::parse(text.substr(middle + kSeparator.size()));
    if (!message) return 0;
    if (cib && (*cib)->is("cib")) {
        const cib::Request request = cib::read_request(*message);
        const cib::Outcome o = cib::execute(*cib, request, {.modification_time = ""});
        SYSTOLE_ASSERT(o.cib, "there is always a CIB");
        SYSTOLE_ASSERT(o.rc == 0 || o.cib == *cib, "a failed request changes nothing");
        if (o.rc == 0 && o.patchset && !request.has(cib::option::kDryRun)) {
            const cib::Patched p = cib::apply_patchset(*cib, *o.patchset, cib::VersionCheck::kNone);
            SYSTOLE_ASSERT(p.rc == 0, "a patchset of ours fits where it was made");
            SYSTOLE_ASSERT(xml::write(*p.cib) == xml::write(*o.cib), "and leads to the same result");
        }
    }
    cib::Manager manager({.node = "n1", .feature_set = "3.20.5"});
    std::ignore = manager.on_loaded({}, cib ? *cib : xml::NodePtr{});
    std::ignore = manager.on_client_connected({.id = {1}, .service = wire::Service::kCibRw, .user = "u", .uuid = "c"});
    std::ignore = manager.on_client_request({}, {{1}, 1, wire::kExpectsResponse, *message});
    std::ignore = manager.on_peer_message({}, {wire::Group::kCib, {NodeId{2}, "n2"}, *message});
    SYSTOLE_ASSERT(manager.check_state().empty(), "a message breaks no invariant");
    return 0;
}
