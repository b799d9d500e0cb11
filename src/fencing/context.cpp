#include "fencing/context.h"

#include <fmt/format.h>

namespace systole::fencing {

std::uint64_t Random::next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
}

std::string Random::uuid() {
    // RFC 9562, version 4: all bits random but version and variant.
    const std::uint64_t high = (next() & 0xffffffffffff0fffULL) | 0x4000ULL;
    const std::uint64_t low = (next() & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xffffU, high & 0xffffU,
                       low >> 48U, low & 0xffffffffffffULL);
}

void Peers::learn(const wire::NodeRef& node) {
    if (!node.name.empty() && node.id != NodeId{}) peers_[node.id].name = node.name;
}

void Peers::set_members(const std::vector<wire::GroupMember>& members) {
    for (auto& [id, peer] : peers_) peer.member = false;
    for (const auto& member : members) peers_[member.node].member = true;
}

bool Peers::active(std::string_view name) const {
    return std::ranges::any_of(
        peers_, [&](const auto& p) { return p.second.member && same_ignoring_case(p.second.name, name); });
}

std::size_t Peers::active_count() const {
    return static_cast<std::size_t>(std::ranges::count_if(peers_, [](const auto& p) { return p.second.member; }));
}

std::vector<std::string> Peers::active_names() const {
    std::vector<std::string> names;
    for (const auto& [id, peer] : peers_) {
        if (peer.member && !peer.name.empty()) names.push_back(peer.name);
    }
    return names;
}

std::string Peers::name_of(std::string_view id) const {
    const auto number = parse_integer(id);
    if (!number || *number <= 0 || *number > 0xffffffffLL) return {};
    const auto it = peers_.find(NodeId{static_cast<std::uint32_t>(*number)});
    return it == peers_.end() ? std::string{} : it->second.name;
}

}  // namespace systole::fencing
