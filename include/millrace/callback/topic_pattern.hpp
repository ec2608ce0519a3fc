// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace millrace {

/// Which topics a subscription is for: `orders/eu` is one topic, `orders/*` all that have one level more than
/// `orders`, `orders/#` is `orders` and all below it. A `*` is any one level, a `#` at the end is the rest, of any
/// number of levels, none as well; `#` alone is every topic.
///
/// Threads     any; it never changes.
/// Errors      the constructor throws std::invalid_argument, which has the offending text.
/// Complexity  linear in the text. Allocates only where it throws.
/// Lifetime    refers to its text, which outlives it.
class topic_pattern {
  // These come first: clang evaluates at compile time only what it has already seen.
  static constexpr std::string_view first_level(std::string_view text) noexcept {
    return text.substr(0, text.find('/'));
  }
  static constexpr bool has_wildcard(std::string_view text) noexcept {
    return text.find_first_of("*#") != std::string_view::npos;
  }

  template <class Visit>
  static constexpr void for_each_level(std::string_view text, Visit visit) {
    for (;;) {
      const std::string_view level = first_level(text);
      const bool is_last = level.size() == text.size();
      visit(level, is_last);
      if (is_last) return;
      text.remove_prefix(level.size() + 1);
    }
  }

 public:
  constexpr explicit topic_pattern(std::string_view text) : text_(text) {
    for_each_level(text, [&](std::string_view level, bool is_last) {
      if (level.empty()) refuse(text, "pattern: it has an empty level");
      if (level == "*") return;
      if (level == "#") {
        if (!is_last) refuse(text, "pattern: '#' stands at the end only");
        return;
      }
      if (has_wildcard(level)) refuse(text, "pattern: '*' and '#' stand for whole levels");
    });
  }

  constexpr std::string_view text() const noexcept { return text_; }

  /// Whether it is the name of one topic.
  constexpr bool is_exact() const noexcept { return !has_wildcard(text_); }

  constexpr bool matches(std::string_view name) const noexcept {
    std::string_view pattern = text_;
    for (;;) {
      const std::string_view wanted = first_level(pattern);
      if (wanted == "#") return true;
      const std::string_view found = first_level(name);
      if (wanted != "*" && wanted != found) return false;
      const bool pattern_ends = wanted.size() == pattern.size();
      if (found.size() == name.size()) {
        return pattern_ends || pattern.substr(wanted.size()) == "/#";
      }
      if (pattern_ends) return false;
      pattern.remove_prefix(wanted.size() + 1);
      name.remove_prefix(found.size() + 1);
    }
  }

  /// Errors: std::invalid_argument, unless it is one: levels with a '/' between them, none empty, without wildcards.
  static constexpr void check_name(std::string_view name) {
    for_each_level(name, [&](std::string_view level, bool) {
      if (level.empty()) refuse(name, "name: it has an empty level");
      if (has_wildcard(level)) refuse(name, "name: it has a wildcard");
    });
  }

 private:
  [[noreturn]] static void refuse(std::string_view text, const char* why) {
    throw std::invalid_argument("millrace: \"" + std::string(text) + "\" is no topic " + why);
  }

  std::string_view text_;
};

}  // namespace millrace
