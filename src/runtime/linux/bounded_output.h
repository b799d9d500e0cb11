#pragma once
// runtime/linux/bounded_output.h — keeps the beginning and the end of what a program writes, whatever it writes.
#include <cstddef>
#include <string>
#include <string_view>

namespace systole::runtime {

/// Invariants: never more than `max` bytes (and as much again while appending) are held; text() is the input itself
/// as long as that is not longer than `max`.
class BoundedOutput {
public:
    explicit BoundedOutput(std::size_t max) : head_max_(max / 2), tail_max_(max - max / 2) {}

    void append(std::string_view bytes) {
        if (head_.size() < head_max_) {
            const auto taken = bytes.substr(0, head_max_ - head_.size());
            head_ += taken;
            bytes.remove_prefix(taken.size());
        }
        if (bytes.size() > tail_max_) {
            cut_ += tail_.size() + bytes.size() - tail_max_;
            tail_.assign(bytes.substr(bytes.size() - tail_max_));
            return;
        }
        tail_ += bytes;
        // Shortened only now and then, so that a byte is moved once and not at every call.
        if (tail_.size() > 2 * tail_max_) shorten();
    }

    [[nodiscard]] std::string text() {
        shorten();
        if (cut_ == 0) return head_ + tail_;
        return head_ + "\n[" + std::to_string(cut_) + " bytes left out]\n" + tail_;
    }

private:
    void shorten() {
        if (tail_.size() <= tail_max_) return;
        const std::size_t excess = tail_.size() - tail_max_;
        cut_ += excess;
        tail_.erase(0, excess);
    }

    std::size_t head_max_, tail_max_, cut_ = 0;
    std::string head_, tail_;
};

}  // namespace systole::runtime
