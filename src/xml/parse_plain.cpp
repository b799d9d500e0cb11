#include "xml/parse_plain.h"

#include <array>
#include <cstring>
#include <deque>
#include <vector>

namespace systole::xml {
namespace {

/// Texts that occur again within one document are stored once; the table dies with the parse.
class Pool {
public:
    Pool() : slots_(std::size_t{1} << 12U) {}
    Text get(std::string_view text, bool* was_there = nullptr) {
        if (text.size() > kLongest) return Text(text);  // transition keys and the like hardly ever come again
        if (text.empty()) return {};
        const std::uint64_t hash = hash_of(text);
        std::size_t at = home_of(hash);
        for (; slots_[at].hash != 0; at = (at + 1) & (slots_.size() - 1)) {
            if (slots_[at].hash == hash && slots_[at].text.view() == text) {
                if (was_there != nullptr) *was_there = true;
                return slots_[at].text;
            }
        }
        slots_[at] = {hash, Text(text)};
        Text result = slots_[at].text;
        if (++used_ * 2 > slots_.size()) grow();
        return result;
    }

private:
    static constexpr std::size_t kLongest = 40;
    struct Slot {
        std::uint64_t hash = 0;  ///< 0: empty
        Text text;
    };
    /// The lowest bit is always set: a place made of it would leave every other slot empty and the rest crowded.
    [[nodiscard]] std::size_t home_of(std::uint64_t hash) const { return (hash >> 1U) & (slots_.size() - 1); }
    static std::uint64_t hash_of(std::string_view text) {
        constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15ULL;
        std::uint64_t hash = text.size() * kFactor;
        const char* at = text.data();
        std::size_t left = text.size();
        for (; left >= 8; at += 8, left -= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, at, 8);
            hash = (hash ^ word) * kFactor;
            hash ^= hash >> 29U;
        }
        std::uint64_t word = 0;
        std::memcpy(&word, at, left);
        hash = (hash ^ word) * kFactor;
        hash ^= hash >> 32U;
        return hash | 1U;  // looked up only, never iterated: no order comes from it
    }
    void grow() {
        std::vector<Slot> old(slots_.size() * 2);
        std::swap(old, slots_);
        for (Slot& slot : old) {
            if (slot.hash == 0) continue;
            std::size_t at = home_of(slot.hash);
            while (slots_[at].hash != 0) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = std::move(slot);
        }
    }
    std::vector<Slot> slots_;
    std::size_t used_ = 0;
};

enum Class : std::uint8_t { kNameStart = 1, kName = 2, kBlank = 4, kValueSpecial = 8, kTextSpecial = 16 };

constexpr std::array<std::uint8_t, 256> kClasses = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned c = 0; c < 256; ++c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (letter) table[c] |= kNameStart | kName;
        if ((c >= '0' && c <= '9') || c == '-' || c == '.') table[c] |= kName;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') table[c] |= kBlank;
        if (c < 0x20 || c >= 0x7f || c == '<' || c == '&') table[c] |= kValueSpecial;
        if ((c < 0x20 && c != '\t' && c != '\n') || c >= 0x7f || c == '&' || c == ']') table[c] |= kTextSpecial;
    }
    return table;
}();

bool has(char c, std::uint8_t classes) { return (kClasses[static_cast<unsigned char>(c)] & classes) != 0; }

/// What the last element of a name looked like. A document has long runs of elements with the same attributes in the
/// same order, most of them with the value that the one before had: what is found here costs no look-up in the pool.
struct Shape {
    struct Place {
        Text name;
        Text value;
        unsigned misses = 0;  ///< short values in a row that nothing else had: numbers of calls, times
    };
    Text element;
    std::vector<Place> places;  ///< by the attribute's position
};

class PlainParser {
public:
    PlainParser(std::string_view text, const ParseOptions& options)
        : at_(text.data()), end_(at_ + text.size()), options_(options) {}

    std::optional<NodePtr> run() {
        if (!declaration()) return std::nullopt;
        for (;;) {
            if (!characters()) return std::nullopt;
            if (at_ == end_) break;
            ++at_;  // '<'
            if (at_ == end_) return std::nullopt;
            const bool fine = *at_ == '/' ? end_tag() : *at_ == '!' ? comment() : start_tag();
            if (!fine) return std::nullopt;
        }
        if (!open_.empty() || !root_) return std::nullopt;
        return std::move(root_);
    }

private:
    struct Open {
        Text name;
        std::size_t attributes, children;  ///< where its own begin on the stacks
    };

    bool take(std::string_view expected) {
        if (static_cast<std::size_t>(end_ - at_) < expected.size()) return false;
        if (std::string_view(at_, expected.size()) != expected) return false;
        at_ += expected.size();
        return true;
    }
    void blanks() {
        while (at_ != end_ && has(*at_, kBlank)) ++at_;
    }

    bool declaration() {
        if (!take("<?xml version=\"1.0\"")) return true;
        static_cast<void>(take(" encoding=\"UTF-8\"") || take(" encoding=\"utf-8\""));
        static_cast<void>(take(" standalone=\"yes\"") || take(" standalone=\"no\""));
        blanks();
        return take("?>");
    }

    /// What is between tags.
    bool characters() {
        const char* begin = at_;
        bool blank = true;
        for (; at_ != end_ && *at_ != '<'; ++at_) {
            if (has(*at_, kBlank)) {
                if (*at_ == '\r') return false;
                continue;
            }
            blank = false;
            if (has(*at_, kTextSpecial)) return false;
        }
        if (at_ == begin) return true;
        if (open_.empty()) return blank;
        const bool keep = options_.text == TextNodes::kKeepAll || (options_.text == TextNodes::kKeep && !blank);
        if (keep) children_.push_back(Builder::text({begin, static_cast<std::size_t>(at_ - begin)}));
        return true;
    }

    bool comment() {
        if (!take("!--")) return false;
        const char* begin = at_;
        for (;; ++at_) {
            if (end_ - at_ < 3) return false;
            if (*at_ == '-' && at_[1] == '-') break;
            if (has(*at_, kTextSpecial) && *at_ != '&' && *at_ != ']') return false;
        }
        if (!open_.empty()) children_.push_back(Builder::comment({begin, static_cast<std::size_t>(at_ - begin)}));
        return take("-->");
    }

    std::string_view name() {
        const char* begin = at_;
        if (at_ == end_ || !has(*at_, kNameStart)) return {};
        while (at_ != end_ && has(*at_, kName)) ++at_;
        return {begin, static_cast<std::size_t>(at_ - begin)};
    }

    /// A short value is not looked for in the pool where values have not come again for a while.
    Text short_lived(std::string_view raw, Shape::Place& place) {
        constexpr std::size_t kShort = 12;
        constexpr unsigned kPatience = 8;
        constexpr unsigned kRetry = 64;  // asked again now and then: what follows may be of another kind
        if (raw.size() > kShort) return pool_.get(raw);
        if (place.misses >= kPatience && place.misses % kRetry != 0) {
            ++place.misses;
            return Text(raw);
        }
        bool was_there = false;
        Text text = pool_.get(raw, &was_there);
        place.misses = was_there ? 0 : place.misses + 1;
        return text;
    }

    /// The value between quotes, with the predefined entities put in place.
    std::optional<Text> value(Shape::Place& place) {
        if (at_ == end_ || (*at_ != '"' && *at_ != '\'')) return std::nullopt;
        const char quote = *at_++;
        const auto* closing = static_cast<const char*>(std::memchr(at_, quote, static_cast<std::size_t>(end_ - at_)));
        if (closing == nullptr) return std::nullopt;
        const std::string_view raw(at_, static_cast<std::size_t>(closing - at_));
        at_ = closing + 1;
        if (raw == place.value.view()) return place.value;
        std::uint8_t seen = 0;
        for (const char c : raw) seen |= kClasses[static_cast<unsigned char>(c)];
        if ((seen & kValueSpecial) == 0) {
            place.value = short_lived(raw, place);
            return place.value;
        }
        scratch_.clear();
        for (std::size_t i = 0; i < raw.size(); ++i) {
            if (raw[i] != '&') {
                if (has(raw[i], kValueSpecial)) return std::nullopt;
                scratch_ += raw[i];
                continue;
            }
            struct Entity {
                std::string_view name;
                char character;
            };
            static constexpr std::array kEntities{Entity{"&amp;", '&'}, Entity{"&lt;", '<'}, Entity{"&gt;", '>'},
                                                  Entity{"&quot;", '"'}, Entity{"&apos;", '\''}};
            const Entity* found = nullptr;
            for (const Entity& entity : kEntities) {
                if (raw.substr(i).starts_with(entity.name)) found = &entity;
            }
            if (found == nullptr) return std::nullopt;
            scratch_ += found->character;
            i += found->name.size() - 1;
        }
        return pool_.get(scratch_);
    }

    Shape& shape_of(std::string_view element) {
        if (last_shape_ < shapes_.size() && shapes_[last_shape_].element.view() == element) return shapes_[last_shape_];
        for (last_shape_ = 0; last_shape_ < shapes_.size(); ++last_shape_) {
            if (shapes_[last_shape_].element.view() == element) return shapes_[last_shape_];
        }
        constexpr std::size_t kShapesMax = 64;  // a search through them stays short whatever the document is
        if (shapes_.size() == kShapesMax) {
            last_shape_ = next_victim_++ % kShapesMax;
            shapes_[last_shape_] = {};
        } else {
            shapes_.emplace_back();
        }
        shapes_[last_shape_].element = pool_.get(element);
        return shapes_[last_shape_];
    }

    bool start_tag() {
        if (open_.size() >= options_.depth_max || (open_.empty() && root_)) return false;
        const std::string_view element = name();
        if (element.empty()) return false;
        Shape& shape = shape_of(element);
        open_.push_back({shape.element, attributes_.size(), children_.size()});
        for (;;) {
            const bool separated = at_ != end_ && has(*at_, kBlank);
            blanks();
            if (at_ == end_) return false;
            if (*at_ == '>') {
                ++at_;
                return true;
            }
            if (*at_ == '/') {
                ++at_;
                if (!take(">")) return false;
                close();
                return true;
            }
            const std::string_view attribute = separated ? name() : std::string_view{};
            if (attribute.empty() || attribute == "xmlns") return false;
            blanks();
            if (!take("=")) return false;
            blanks();
            const std::size_t number = attributes_.size() - open_.back().attributes;
            if (number == shape.places.size()) shape.places.emplace_back();
            Shape::Place& place = shape.places[number];
            auto text = value(place);
            if (!text) return false;
            if (place.name.view() != attribute) place.name = pool_.get(attribute);
            const Text& interned = place.name;
            for (std::size_t i = open_.back().attributes; i < attributes_.size(); ++i) {
                if (attributes_[i].name.shares_with(interned)) return false;
            }
            // Longer names than the pool takes have to be compared as texts.
            if (attribute.size() > 40) return false;
            attributes_.push_back({interned, std::move(*text)});
        }
    }

    bool end_tag() {
        ++at_;
        const std::string_view element = name();
        if (open_.empty() || element != open_.back().name.view()) return false;
        blanks();
        if (!take(">")) return false;
        close();
        return true;
    }

    void close() {
        Open& top = open_.back();
        NodePtr node = Builder::assemble(std::move(top.name), std::span(attributes_).subspan(top.attributes),
                                         std::span(children_).subspan(top.children));
        attributes_.resize(top.attributes);
        children_.resize(top.children);
        open_.pop_back();
        if (open_.empty()) {
            root_ = std::move(node);
        } else {
            children_.push_back(std::move(node));
        }
    }

    const char* at_;
    const char* end_;
    const ParseOptions& options_;
    Pool pool_;
    std::deque<Shape> shapes_;
    std::size_t last_shape_ = 0;
    std::size_t next_victim_ = 0;
    std::vector<Open> open_;
    std::vector<Attribute> attributes_;  ///< of the open elements, the innermost one's last
    std::vector<NodePtr> children_;
    NodePtr root_;
    std::string scratch_;
};

}  // namespace

std::optional<NodePtr> parse_plain(std::string_view text, const ParseOptions& options) {
    return PlainParser(text, options).run();
}

}  // namespace systole::xml
