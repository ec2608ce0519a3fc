// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/segmented_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/lockfree_laws.hpp"
#include "support/lockfree_queues.hpp"
#include "support/messages.hpp"

#if defined(__linux__)
#include <unistd.h>

#include <fstream>
#endif

namespace {

using millrace::default_traits;
using millrace::segmented_queue;
using support::segmented;
using near_wrap_two_cells = support::near_wrap<support::tiny_segments<default_traits>>;

struct one_cell : default_traits {
  template <std::size_t>
  static constexpr std::size_t segment_cells = 1;
};

/// Notes the sizes of all that is allocated, and what is discarded.
struct noting_traits : default_traits {
  static inline std::vector<std::size_t> sizes;
  static inline int outstanding = 0;
  static inline std::size_t discarded = 0;

  static void* allocate(std::size_t bytes, std::size_t alignment) {
    sizes.push_back(bytes);
    ++outstanding;
    return default_traits::allocate(bytes, alignment);
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --outstanding;
    default_traits::deallocate(memory, alignment);
  }
  static void discard(void* memory, std::size_t bytes) noexcept {
    discarded += bytes;
    default_traits::discard(memory, bytes);
  }
  static void reset() {
    sizes.clear();
    discarded = 0;
  }
};

using word = std::uint64_t;
constexpr std::size_t cell_bytes = sizeof(word) + 9;  // as documented
constexpr std::size_t large_segment = 128 * 1024;

/// Pushes 0, 1, ... n - 1.
template <class Queue>
void fill(Queue& q, word n) {
  for (word i = 0; i < n; ++i) static_cast<void>(q.try_push(word{i}));
}

/// Pops all, which must be 0, 1, ...: how many, or 0.
template <class Queue>
word drain(Queue& q) {
  word next = 0;
  while (const auto m = q.try_pop()) {
    if (*m != next++) return 0;
  }
  return next;
}

}  // namespace

TEST_CASE("segmented_queue keeps the laws") {
  lockfree_laws::all_hold<segmented>(GENERATE(1u, 3u, 64u, 300u));
}

TEST_CASE("segmented_queue keeps the laws with segments of two cells, near the wrap of its tickets") {
  lockfree_laws::all_hold<segmented, near_wrap_two_cells>(GENERATE(1u, 2u, 3u, 4u, 64u));
}

TEST_CASE("segmented_queue works like a deque with segments of one cell") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 64u);
  lockfree_laws::works_like_a_deque<segmented, int, one_cell>(capacity);
  lockfree_laws::threads_lose_nothing<segmented, one_cell>(capacity);
}

TEMPLATE_TEST_CASE("segmented_queue works like a deque of any messages", "", messages::over_aligned,
                   messages::bare) {
  lockfree_laws::works_like_a_deque<segmented, TestType, near_wrap_two_cells>(GENERATE(1u, 3u, 64u));
}

TEST_CASE("the segments of a queue begin small and double until they are large") {
  noting_traits::reset();
  {
    segmented_queue<word, noting_traits> q;
    fill(q, 100000);
    const auto& sizes = noting_traits::sizes;
    REQUIRE(sizes.size() > 8);
    CHECK(sizes.front() <= 2200);  // 2 KiB and a header
    bool doubles = true;
    for (std::size_t i = 1; i < sizes.size(); ++i) {
      doubles = doubles && sizes[i] <= large_segment;
      doubles = doubles && sizes[i] <= 2 * sizes[i - 1];
      doubles = doubles && sizes[i] >= std::min(2 * sizes[i - 1] - 100, std::size_t{130000});
    }
    CHECK(doubles);
    CHECK(drain(q) == 100000);
  }
  CHECK(noting_traits::outstanding == 0);
}

TEST_CASE("a queue has no more memory than its longest content needs, and a few segments") {
  for (const word peak : {word{1}, word{1000}, word{100000}, word{1000000}}) {
    CAPTURE(peak);
    noting_traits::reset();
    segmented_queue<word, noting_traits> q;
    for (int round = 0; round < 3; ++round) {
      fill(q, peak);
      REQUIRE(drain(q) == peak);
    }
    bool all = true;
    for (word i = 0; i < 50000; ++i) all = all && q.try_push(word{i}) && q.try_pop() == i;
    CHECK(all);
    std::size_t bytes = 0;
    for (const std::size_t size : noting_traits::sizes) bytes += size;
    // Three segments more, and the small ones of the beginning, which make up two.
    CHECK(bytes <= peak * cell_bytes + (3 + 2) * large_segment);
    if (peak == 1) CHECK(bytes <= 16 * 1024);  // what is short stays small
  }
}

TEST_CASE("a queue allocates nothing once it has been as long as it gets") {
  segmented_queue<word> q;
  bool all = true;
  const auto use = [&] {
    fill(q, 60000);
    all = all && drain(q) == 60000;
    for (word i = 0; i < 60000; ++i) all = all && q.try_push(word{i}) && q.try_pop() == i;
  };
  use();
  use();
  const std::size_t before = support::allocations();
  for (int round = 0; round < 4; ++round) use();
  CHECK(support::allocations() == before);
  CHECK(all);
}

TEST_CASE("a queue that is drained gives its pages back, all but those of 64 segments, and goes on") {
  constexpr word peak = 1000000;
  noting_traits::reset();
  segmented_queue<word, noting_traits> q;
  fill(q, peak);
  CHECK(noting_traits::discarded == 0);
  CHECK(drain(q) == peak);
  const std::size_t segments = noting_traits::sizes.size();
  CHECK(noting_traits::discarded >= peak * 16 - (64 + 5) * large_segment);
  CHECK(noting_traits::discarded <= (segments - 64) * large_segment);
  for (int round = 0; round < 2; ++round) {
    fill(q, peak);
    CHECK(drain(q) == peak);
  }
  CHECK(noting_traits::sizes.size() <= segments + 3);  // in the place of the small ones of the beginning
}

// A sanitizer keeps more memory for ours, and keeps it.
#if defined(__linux__) && SUPPORT_COUNTS_ALLOCATIONS
TEST_CASE("the memory of a drained queue is the system's again") {
  const auto resident = [] {
    std::size_t size = 0;
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> size >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  };
  constexpr word peak = 2000000;
  constexpr std::size_t content = peak * 16;
  segmented_queue<word> q;
  const std::size_t before = resident();
  fill(q, peak);
  const std::size_t full = resident();
  REQUIRE(full >= before + content / 4 * 3);
  CHECK(drain(q) == peak);
  CHECK(resident() <= full - content / 2);  // 8 MiB are kept
}
#endif

TEST_CASE("a queue that gets no memory throws, and the message stays with who wanted to push it") {
  if (!support::counts_allocations) return;
  {
    const support::failing_allocations now(0);
    CHECK_THROWS_AS(segmented_queue<int>(), std::bad_alloc);
  }
  segmented_queue<std::unique_ptr<int>> q;
  std::vector<std::unique_ptr<int>> ready;
  for (int i = 0; i < 1000; ++i) ready.push_back(std::make_unique<int>(i));
  std::size_t in = 0;
  bool thrown = false;
  {
    const support::failing_allocations now(0);
    try {
      for (; in < ready.size(); ++in) static_cast<void>(q.try_push(std::move(ready[in])));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  CHECK(thrown);
  REQUIRE(in < ready.size());
  REQUIRE(ready[in]);
  CHECK(*ready[in] == static_cast<int>(in));
  CHECK(q.size_approx() == in);
  for (std::size_t i = in; i < ready.size(); ++i) REQUIRE(q.try_push(std::move(ready[i])));
  bool all = true;
  for (int i = 0; i < 1000; ++i) {
    const auto m = q.try_pop();
    all = all && m && **m == i;
  }
  CHECK(all);
}

TEST_CASE("a queue of two threads uses its segments again in order") {
  // The consumer is seldom more than a few segments behind, so nearly every segment is used many times.
  constexpr word n = 30000;
  segmented_queue<word, near_wrap_two_cells> q;
  std::vector<word> got;
  got.reserve(n);
  std::thread consumer([&] {
    while (got.size() < n) {
      if (const auto m = q.try_pop()) {
        got.push_back(*m);
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (word i = 0; i < n; ++i) {
    while (q.size_approx() > 20) std::this_thread::yield();
    static_cast<void>(q.try_push(word{i}));
  }
  consumer.join();
  bool in_order = true;
  for (word i = 0; i < n; ++i) in_order = in_order && got[i] == i;
  CHECK(in_order);
}
