// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/segment_pool.hpp>

#include <cstddef>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using millrace::default_traits;

/// Counts segments; yield() and an allocation may do something, and allocations may fail.
template <std::size_t Cells>
struct counting_traits : default_traits {
  template <std::size_t>
  static constexpr std::size_t segment_cells = Cells;

  static inline int outstanding = 0;
  static inline int created = 0;
  static inline int discarded = 0;
  static inline int yields = 0;
  static inline void (*on_yield)() = nullptr;
  static inline void (*on_allocate)() = nullptr;  // once
  static inline bool fails = false;

  static void* allocate(std::size_t bytes, std::size_t alignment) {
    if (fails) throw std::bad_alloc();
    if (on_allocate != nullptr) std::exchange(on_allocate, nullptr)();
    ++outstanding;
    ++created;
    return default_traits::allocate(bytes, alignment);
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --outstanding;
    default_traits::deallocate(memory, alignment);
  }
  static void discard(void*, std::size_t) noexcept { ++discarded; }
  static void yield() noexcept {
    ++yields;
    if (on_yield != nullptr) on_yield();
  }
  static void reset() {
    created = discarded = yields = 0;
    on_yield = on_allocate = nullptr;
    fails = false;
  }
};

/// A pool that gets back, at the end, what a test has taken and kept.
template <class Traits>
class test_pool {
 public:
  using segment = typename millrace::detail::segment_pool<int, Traits>::segment_type;

  ~test_pool() {
    for (segment* s : taken_) pool_.give_back(s);
  }
  segment* take() { return *taken_.insert(pool_.take()).first; }
  void retire(segment* s) {
    taken_.erase(s);
    pool_.retire(s);
  }
  void give_back(segment* s) {
    taken_.erase(s);
    pool_.give_back(s);
  }

 private:
  millrace::detail::segment_pool<int, Traits> pool_;
  std::set<segment*> taken_;
};

using tiny = counting_traits<2>;
using pool = test_pool<tiny>;
using segment = pool::segment;

void empty(segment* s) {
  s->mark(0, s->count);
}

}  // namespace

TEST_CASE("a pool frees every segment that it has, whatever became of it") {
  tiny::reset();
  {
    pool p;
    segment* const used = p.take();
    segment* const emptied = p.take();
    segment* const unused = p.take();
    p.retire(used);  // not marked: as where the queue ends
    empty(emptied);
    p.retire(emptied);
    p.give_back(unused);
    CHECK(tiny::outstanding == 3);
  }
  CHECK(tiny::outstanding == 0);
}

TEST_CASE("a segment is used again once it is retired and every cell is marked, not before") {
  tiny::reset();
  pool p;
  segment* const first = p.take();
  first->mark(0, 1);
  p.retire(first);
  segment* const second = p.take();
  CHECK(second != first);
  first->mark(1, 1);
  CHECK(p.take() == first);
  CHECK(tiny::created == 2);
  p.retire(first);
  CHECK(p.take() != first);  // unmarked again
  CHECK(tiny::created == 3);
}

TEST_CASE("one segment that is not empty holds up no other") {
  tiny::reset();
  pool p;
  segment* all[3];
  for (segment*& s : all) s = p.take();
  for (segment* s : all) p.retire(s);
  empty(all[0]);
  empty(all[2]);
  const std::set<segment*> again{p.take(), p.take()};
  CHECK(again == std::set<segment*>{all[0], all[2]});
  CHECK(tiny::created == 3);
  empty(all[1]);
  CHECK(p.take() == all[1]);
}

TEST_CASE("what nobody used is taken again") {
  tiny::reset();
  pool p;
  segment* const s = p.take();
  p.give_back(s);
  CHECK(p.take() == s);
  empty(s);
  p.retire(s);
  CHECK(p.take() == s);
  CHECK(tiny::created == 1);
}

TEST_CASE("consumers are given a chance before a segment is created") {
  tiny::reset();
  static pool* p = nullptr;
  static segment* late = nullptr;
  pool here;
  p = &here;
  late = here.take();
  CHECK(tiny::yields == 1);
  tiny::on_yield = [] {
    empty(late);
    p->retire(late);
  };
  CHECK(here.take() == late);
  CHECK(tiny::yields == 2);
  CHECK(tiny::created == 1);
  empty(late);
  here.retire(late);
  CHECK(here.take() == late);
  CHECK(tiny::yields == 2);  // there was one
  tiny::reset();
}

TEST_CASE("the pages of all but 64 spare segments are given back, and the segments are kept") {
  tiny::reset();
  constexpr int n = 70;
  pool p;
  std::vector<segment*> all;
  for (int i = 0; i < n; ++i) all.push_back(p.take());
  for (segment* s : all) {
    empty(s);
    p.retire(s);
  }
  std::set<segment*> again;
  for (int i = 0; i < n; ++i) again.insert(p.take());
  CHECK(tiny::discarded == n - 1 - 64);  // the one retired last is looked at when it is needed
  CHECK(tiny::created == n);
  CHECK(again == std::set<segment*>(all.begin(), all.end()));
  CHECK(tiny::outstanding == n);
}

TEST_CASE("segments that are emptied all at once are used again, however many, and keep their pages") {
  tiny::reset();
  constexpr int n = 70;
  pool p;
  std::vector<segment*> all;
  for (int i = 0; i < n; ++i) all.push_back(p.take());
  for (segment* s : all) p.retire(s);
  for (segment* s : all) empty(s);
  std::set<segment*> again;
  for (int i = 0; i < n; ++i) again.insert(p.take());
  CHECK(again == std::set<segment*>(all.begin(), all.end()));
  CHECK(tiny::created == n);
  CHECK(tiny::discarded == 0);
}

TEST_CASE("spare segments that kept their pages are taken first") {
  tiny::reset();
  pool p;
  std::vector<segment*> all;
  for (int i = 0; i < 66; ++i) all.push_back(p.take());
  for (segment* s : all) {
    empty(s);
    p.retire(s);
  }
  REQUIRE(tiny::discarded == 1);
  bool is_last = true;
  for (int i = 0; i < 65; ++i) is_last = is_last && p.take() != all[64];
  CHECK(is_last);
  CHECK(p.take() == all[64]);
}

TEST_CASE("new segments double until they are large, and large ones are used again first") {
  using traits = counting_traits<256>;
  traits::reset();
  {
    test_pool<traits> p;
    std::vector<test_pool<traits>::segment*> all;
    for (const std::size_t count : {4u, 8u, 16u, 32u, 64u, 128u, 256u, 256u}) {
      all.push_back(p.take());
      CHECK(all.back()->count == count);
    }
    for (auto* s : all) {
      s->mark(0, s->count);
      p.retire(s);
    }
    CHECK(p.take()->count == 256);
    CHECK(p.take()->count == 256);
    for (int i = 0; i < 6; ++i) CHECK(p.take()->count < 256);
    CHECK(traits::created == 8);
    CHECK(traits::discarded == 0);
  }
  CHECK(traits::outstanding == 0);
}

TEST_CASE("threads that need a new segment at the same time get the same size, and the next one twice as much") {
  using traits = counting_traits<256>;
  static test_pool<traits>* p = nullptr;
  static std::size_t meanwhile = 0;
  traits::reset();
  test_pool<traits> here;
  p = &here;
  traits::on_allocate = [] { meanwhile = p->take()->count; };
  CHECK(here.take()->count == 4);
  CHECK(meanwhile == 4);
  CHECK(here.take()->count == 8);
}

TEST_CASE("a pool does not grow faster for want of memory") {
  using traits = counting_traits<256>;
  traits::reset();
  {
    test_pool<traits> p;
    traits::fails = true;
    for (int i = 0; i < 8; ++i) CHECK_THROWS_AS(p.take(), std::bad_alloc);
    traits::fails = false;
    CHECK(p.take()->count == 4);
  }
  CHECK(traits::outstanding == 0);
}

TEST_CASE("a pool without memory throws, and goes on when there is some") {
  tiny::reset();
  pool p;
  segment* const first = p.take();
  tiny::fails = true;
  CHECK_THROWS_AS(p.take(), std::bad_alloc);
  empty(first);
  p.retire(first);
  CHECK(p.take() == first);  // needs none
  CHECK_THROWS_AS(p.take(), std::bad_alloc);
  tiny::fails = false;
  CHECK(p.take() != first);
}
