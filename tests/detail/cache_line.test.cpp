// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/cache_line.hpp>

#include <bit>
#include <cstddef>

#include "support/catch.hpp"

namespace {

struct two_words {
  alignas(millrace::detail::cache_line) int first;
  alignas(millrace::detail::cache_line) int second;
};

}  // namespace

TEST_CASE("words that are aligned to a cache line share none") {
  STATIC_REQUIRE(std::has_single_bit(millrace::detail::cache_line));
  STATIC_REQUIRE(millrace::detail::cache_line >= alignof(std::max_align_t));
  two_words w;
  CHECK(reinterpret_cast<char*>(&w.second) - reinterpret_cast<char*>(&w.first) >= 64);
}
