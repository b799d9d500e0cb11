#include "scheduler/table_order.h"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace systole::scheduler {
namespace {

constexpr std::array<std::uint32_t, 20> kModuli{1,    2,    3,    7,    13,    31,    61,    127,    251,    509,
                                                1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071, 262139, 524287};

/// Open addressing with growing steps; the hash multiplies by 31.
class Table {
public:
    explicit Table(const std::vector<std::string_view>& ids) : slots_(std::size_t{1} << bits_) {
        for (const std::string_view id : ids) {
            std::uint32_t hash = 0;
            for (const char c : id) hash = hash * 31 + static_cast<std::uint32_t>(static_cast<signed char>(c));
            hashes_.push_back(hash);
            std::size_t step = 0, at = slot_of(hash);
            while (slots_[at]) at = (at + ++step) & (slots_.size() - 1);
            slots_[at] = hashes_.size() - 1;
            if (slots_.size() <= hashes_.size() + hashes_.size() / 16) grow();
        }
    }
    [[nodiscard]] std::vector<std::size_t> order() const {
        std::vector<std::size_t> places;
        for (const auto& slot : slots_) {
            if (slot) places.push_back(*slot);
        }
        return places;
    }

private:
    [[nodiscard]] std::size_t slot_of(std::uint32_t hash) const { return hash * 11U % kModuli[bits_]; }

    /// In place: what moves to a taken slot makes the one there move on, in turn.
    void grow() {
        const std::size_t old = slots_.size();
        bits_ = 0;
        for (auto wanted = hashes_.size() * 1333 / 1000; wanted != 0; wanted >>= 1) ++bits_;
        slots_.resize(std::size_t{1} << bits_);
        std::vector<bool> settled(slots_.size());
        for (std::size_t i = 0; i < old; ++i) {
            if (settled[i]) continue;
            std::optional<std::size_t> moving = std::exchange(slots_[i], std::nullopt);
            while (moving) {
                std::size_t step = 0, at = slot_of(hashes_[*moving]);
                while (settled[at]) at = (at + ++step) & (slots_.size() - 1);
                settled[at] = true;
                std::swap(slots_[at], moving);
            }
        }
    }

    std::size_t bits_ = 3;
    std::vector<std::optional<std::size_t>> slots_;
    std::vector<std::uint32_t> hashes_;
};

}  // namespace

std::vector<std::size_t> table_order(const std::vector<std::string_view>& ids) { return Table(ids).order(); }

}  // namespace systole::scheduler
