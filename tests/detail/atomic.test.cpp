// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/atomic.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "support/catch.hpp"

using millrace::default_traits;

TEST_CASE("production uses the standard's atomics and 64-bit tickets") {
  STATIC_REQUIRE(std::same_as<default_traits::atomic<int>, std::atomic<int>>);
  STATIC_REQUIRE(std::same_as<default_traits::ticket, std::uint64_t>);
  STATIC_REQUIRE(default_traits::first_ticket == 0);
  STATIC_REQUIRE(std::is_empty_v<default_traits::probe>);
}

TEST_CASE("memory comes with the alignment that was asked for") {
  for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    void* const memory = default_traits::allocate(3 * alignment, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % alignment == 0);
    default_traits::deallocate(memory, alignment);
  }
}

TEST_CASE("production's thread is the thread_context") {
  CHECK(&default_traits::this_thread() == &millrace::detail::this_thread_context());
}
