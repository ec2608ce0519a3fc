// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/lockfree_queues.hpp"

namespace {

using millrace::default_traits;

/// Notes what is allocated, freed and discarded.
struct noting_traits : default_traits {
  static inline void* memory = nullptr;
  static inline std::size_t bytes = 0;
  static inline std::size_t alignment = 0;
  static inline void* discarded = nullptr;
  static inline std::size_t discarded_bytes = 0;

  static void* allocate(std::size_t n, std::size_t align) {
    bytes = n;
    alignment = align;
    return memory = default_traits::allocate(n, align);
  }
  static void deallocate(void* what, std::size_t align) noexcept {
    if (what == memory && align == alignment) memory = nullptr;
    default_traits::deallocate(what, align);
  }
  static void discard(void* what, std::size_t n) noexcept {
    discarded = what;
    discarded_bytes = n;
  }
};

struct alignas(256) over_aligned {
  char c;
};

template <class T>
using segment = millrace::detail::segment<T, noting_traits>;

template <class T>
struct destroy {
  void operator()(segment<T>* s) const noexcept { segment<T>::destroy(s); }
};
template <class T>
using owned = std::unique_ptr<segment<T>, destroy<T>>;

template <class T>
owned<T> create(std::size_t count) {
  return owned<T>(segment<T>::create(count));
}

}  // namespace

TEST_CASE("a segment is one piece of memory, and gives it back") {
  {
    const auto s = create<void*>(5);
    CHECK(noting_traits::memory == s.get());
    CHECK(noting_traits::bytes == 64 + 5 * (16 + 1));
    CHECK(s->count == 5);
    CHECK(s->next.load(std::memory_order_relaxed) == nullptr);
  }
  CHECK(noting_traits::memory == nullptr);
}

TEMPLATE_TEST_CASE("the cells of a segment begin on a line, and where their messages must", "", char, void*,
                   over_aligned) {
  const auto s = create<TestType>(3);
  const auto first = reinterpret_cast<std::uintptr_t>(s->cells());
  constexpr std::size_t align = alignof(TestType) > 64 ? alignof(TestType) : 64;
  CHECK(first % align == 0);
  CHECK(first >= reinterpret_cast<std::uintptr_t>(s.get()) + sizeof(*s));
  const auto end = reinterpret_cast<std::uintptr_t>(s->cells() + 3) + 3;
  CHECK(end <= reinterpret_cast<std::uintptr_t>(s.get()) + noting_traits::bytes);
}

TEST_CASE("the stamps of a fresh segment are of no ticket") {
  const auto s = create<int>(4);
  for (int i = 0; i < 4; ++i) CHECK(s->cells()[i].stamp.load(std::memory_order_relaxed) == 0);
}

TEST_CASE("a segment is empty once every cell is marked, in whatever order, use after use") {
  const auto s = create<int>(5);
  for (int use = 0; use < 3; ++use) {
    CHECK_FALSE(s->is_empty());
    s->mark(3, 2);
    CHECK_FALSE(s->is_empty());
    s->mark(0, 2);
    CHECK_FALSE(s->is_empty());
    s->mark(2, 1);
    CHECK(s->is_empty());
    CHECK(s->is_empty());
    s->next.store(s.get(), std::memory_order_relaxed);
    s->reuse();
    CHECK(s->next.load(std::memory_order_relaxed) == nullptr);
  }
}

TEST_CASE("a segment gives back its cells and nothing else") {
  const auto s = create<void*>(1000);
  s->mark(0, 1000);
  s->discard();
  CHECK(noting_traits::discarded == s->cells());
  CHECK(noting_traits::discarded_bytes == 1000 * 16);
  CHECK(s->is_empty());
}

TEST_CASE("a large segment has 128 KiB at most, but 15 cells at least") {
  struct big {
    char bytes[100000];
  };
  STATIC_REQUIRE(segment<char>::most_cells * 17 + 64 <= 131072);
  STATIC_REQUIRE(segment<char>::most_cells * 17 + 64 > 130000);
  STATIC_REQUIRE(segment<over_aligned>::most_cells * 513 + 256 <= 131072 + 256);
  STATIC_REQUIRE(segment<big>::most_cells == 15);
  STATIC_REQUIRE(millrace::detail::segment<int, support::tiny_segments<default_traits>>::most_cells == 2);
}
