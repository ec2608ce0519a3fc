// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace search {

/// Turns A to Z into a to z, and nothing else.
inline void lower(char* first, std::size_t size) noexcept {
  const auto lowered = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return static_cast<char>(byte + (static_cast<unsigned char>(byte - 'A') < 26 ? 32 : 0));
  };
  constexpr std::size_t step = 64;  // a fixed length, so that the compiler uses vectors
  for (; size >= step; first += step, size -= step)
    for (std::size_t i = 0; i != step; ++i) first[i] = lowered(first[i]);
  for (; size != 0; ++first, --size) *first = lowered(*first);
}

/// The alternatives to look for, one per line of the pattern.
class pattern {
 public:
  pattern(std::string_view text, bool ignore_case) : ignore_case_(ignore_case) {
    for (;;) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      needles_.emplace_back(text.substr(0, end), ignore_case);
      if (end == text.size()) return;
      text.remove_prefix(end + 1);
    }
  }

  /// Finds one string: goes from one occurrence of its rarest byte to the next, and compares there.
  class needle {
   public:
    needle(std::string_view text, bool ignore_case) : text_(text) {
      if (ignore_case) lower(text_.data(), text_.size());
      for (std::size_t i = 1; i < text_.size(); ++i)
        if (frequency(text_[i]) < frequency(text_[rarest_])) rarest_ = i;
    }

    /// The first occurrence in [first, last); last if there is none.
    const char* find(const char* first, const char* last) const noexcept {
      if (text_.size() > static_cast<std::size_t>(last - first)) return last;
      if (text_.empty()) return first;
      const char* at = first + rarest_;
      const char* const end = last - (text_.size() - 1 - rarest_);
      for (;; ++at) {
        at = static_cast<const char*>(std::memchr(at, text_[rarest_], static_cast<std::size_t>(end - at)));
        if (at == nullptr) return last;
        if (std::memcmp(at - rarest_, text_.data(), text_.size()) == 0) return at - rarest_;
      }
    }

   private:
    /// How common a byte is, by rank, in C and C++ headers; 0 is one that they hardly have.
    static std::size_t frequency(char c) noexcept {
      constexpr std::string_view rare_to_common =
          "^~?$%`!ZJQ+@|j][q7W\\&z8Y}{46\"H>9K3=<5VwUBX:2GF#1Dx;M0'.bkyv-gPARONCLI/"
          "()hTm*,EufpSdlcaorisn_te ";
      return rare_to_common.find(c) + 1;
    }

    std::string text_;
    std::size_t rarest_ = 0;
  };

  const std::vector<needle>& needles() const noexcept { return needles_; }
  bool ignore_case() const noexcept { return ignore_case_; }

 private:
  std::vector<needle> needles_;
  bool ignore_case_;
};

/// Finds the occurrences of a pattern in one piece of text after the other.
///
/// Threads    one; the pattern may be shared.
class finder {
 public:
  explicit finder(const pattern& what) : what_(what), next_(what.needles().size()) {}

  /// Looks into [first, last), which the caller keeps until the next start().
  void start(const char* first, const char* last) {
    begin_ = first;
    size_ = static_cast<std::size_t>(last - first);
    text_ = first;
    if (what_.ignore_case()) {
      if (folded_size_ < size_) {
        folded_.reset();  // before there is another
        folded_ = std::make_unique_for_overwrite<char[]>(size_);
        folded_size_ = size_;
      }
      std::memcpy(folded_.get(), first, size_);
      lower(folded_.get(), size_);
      text_ = folded_.get();
    }
    std::fill(next_.begin(), next_.end(), nullptr);
  }

  /// The first occurrence at or behind `from`; the end of the text if there is none.
  const char* next(const char* from) noexcept {
    const char* const first = text_ + (from - begin_);
    const char* const last = text_ + size_;
    const char* nearest = last;
    for (std::size_t i = 0; i != next_.size(); ++i) {
      // What was found further on is not looked for again.
      if (next_[i] == nullptr || next_[i] < first) next_[i] = what_.needles()[i].find(first, last);
      nearest = std::min(nearest, next_[i]);
    }
    return begin_ + (nearest - text_);
  }

 private:
  const pattern& what_;
  std::vector<const char*> next_;  // the next occurrence of each alternative; null: not known
  const char* begin_ = nullptr;
  const char* text_ = nullptr;  // what is searched: the text itself, or a copy in lower case
  std::size_t size_ = 0;
  std::unique_ptr<char[]> folded_;
  std::size_t folded_size_ = 0;
};

}  // namespace search
