// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::detail {

/// The name of a type for error messages, as the compiler spells it. It tells no types apart: those of two
/// unnamed namespaces may have the same.
template <class T>
constexpr std::string_view type_name() noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
  constexpr std::string_view text = __FUNCSIG__;
  constexpr std::size_t begin = text.find("type_name<") + 10;
  return text.substr(begin, text.rfind(">(") - begin);
#else
  // g++: "... type_name() [with T = int; std::string_view = ...]"; clang: "... type_name() [T = int]"
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::size_t begin = text.find("T = ") + 4;
  constexpr std::size_t semicolon = text.find(';', begin);
  constexpr std::size_t end = semicolon == std::string_view::npos ? text.rfind(']') : semicolon;
  return text.substr(begin, end - begin);
#endif
}

}  // namespace millrace::detail
