// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/mpmc_ring.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/lockfree_laws.hpp"
#include "support/lockfree_queues.hpp"
#include "support/messages.hpp"

namespace {

using millrace::default_traits;
using millrace::mpmc_ring;
using support::mpmc;
using support::scattered_mpmc;

struct padded_mpmc : mpmc {
  template <class T, class Traits>
  using queue = mpmc_ring<T, Traits, millrace::padded_slots>;
};

/// 12 bits count operations: they wrap early and often.
struct tickets_16 : default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 4090;
};

/// 4 bits count operations, for capacities up to 3.
struct tickets_8 : default_traits {
  using ticket = std::uint8_t;
  static constexpr ticket first_ticket = 14;
};

struct counting_memory : default_traits {
  static inline std::size_t bytes = 0;
  static inline int blocks = 0;
  static void* allocate(std::size_t n, std::size_t alignment) {
    void* const memory = default_traits::allocate(n, alignment);
    bytes += n;
    ++blocks;
    return memory;
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    --blocks;
    default_traits::deallocate(memory, alignment);
  }
};

/// How much memory a ring takes from its Traits.
template <class T, class Layout = millrace::dense_slots>
std::size_t memory_for(std::size_t capacity) {
  counting_memory::bytes = 0;
  const mpmc_ring<T, counting_memory, Layout> ring(capacity);
  CHECK(counting_memory::blocks == 1);
  return counting_memory::bytes;
}

/// Lets another operation come right after the next load.
struct interrupted : millrace::default_traits {
  static inline void (*next)() = nullptr;

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T load(std::memory_order order) const noexcept {
      const T value = std::atomic<T>::load(order);
      if (next != nullptr) std::exchange(next, nullptr)();
      return value;
    }
  };
};

millrace::mpmc_ring<std::string, interrupted>* other = nullptr;

}  // namespace


TEST_CASE("mpmc_ring keeps the laws") {
  lockfree_laws::all_hold<mpmc>(GENERATE(1u, 2u, 3u, 4u, 7u, 64u));
}

TEST_CASE("mpmc_ring keeps the laws with slots scattered over lines") {
  lockfree_laws::all_hold<scattered_mpmc>(GENERATE(1u, 4u, 64u, 130u));
}

TEST_CASE("mpmc_ring works like a deque with a line for each slot") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 64u);
  lockfree_laws::works_like_a_deque<padded_mpmc, int>(capacity);
  lockfree_laws::messages_lie_where_they_must<padded_mpmc, default_traits>(capacity);
}

TEMPLATE_TEST_CASE("mpmc_ring works like a deque of any messages", "", messages::over_aligned,
                   messages::bare) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 64u);
  lockfree_laws::works_like_a_deque<mpmc, TestType>(capacity);
}

TEMPLATE_TEST_CASE("mpmc_ring works like a deque when its tickets wrap", "", tickets_16,
                   support::near_wrap<default_traits>) {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 4u, 5u, 7u, 64u);
  lockfree_laws::works_like_a_deque<mpmc, int, TestType>(capacity);
}

TEST_CASE("mpmc_ring works like a deque with 8-bit tickets") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u);
  lockfree_laws::works_like_a_deque<mpmc, int, tickets_8>(capacity);
}

TEST_CASE("mpmc_ring loses nothing between threads when its tickets wrap") {
  const std::size_t capacity = GENERATE(1u, 2u, 3u, 64u);
  lockfree_laws::threads_lose_nothing<mpmc, support::near_wrap<default_traits>>(capacity);
}

TEST_CASE("the capacity of an mpmc_ring is exact, whatever it is") {
  std::vector<std::size_t> wrong;
  for (std::size_t capacity = 1; capacity <= 300; ++capacity) {
    mpmc_ring<int> dense(capacity);
    mpmc_ring<int, default_traits, millrace::scattered_slots> scattered(capacity);
    const std::vector<int> numbers(capacity + 1, 1);
    bool exact = dense.capacity() == capacity;
    for (int lap = 0; lap < 2; ++lap) {
      exact = exact && dense.try_push_n(numbers.begin(), capacity + 1) == capacity;
      exact = exact && scattered.try_push_n(numbers.begin(), capacity + 1) == capacity;
      std::vector<int> out(capacity + 1);
      exact = exact && dense.try_pop_n(out.begin(), capacity + 1) == capacity;
      exact = exact && scattered.try_pop_n(out.begin(), capacity + 1) == capacity;
    }
    if (!exact) wrong.push_back(capacity);
  }
  CHECK(wrong == std::vector<std::size_t>{});
}

TEST_CASE("a capacity that an mpmc_ring cannot have is refused") {
  CHECK_THROWS_AS(mpmc_ring<int>(0), std::invalid_argument);
  CHECK_THROWS_WITH(mpmc_ring<int>(0), Catch::Matchers::Contains("1 or more"));
  CHECK_THROWS_AS(mpmc_ring<int>((std::size_t{1} << 58) + 1), std::length_error);
  CHECK_THROWS_AS(mpmc_ring<int>(~std::size_t{0}), std::length_error);
  CHECK_THROWS_AS((mpmc_ring<int, tickets_8>(4)), std::length_error);
  CHECK_THROWS_AS((mpmc_ring<int, tickets_16>(1024)), std::length_error);
}

TEST_CASE("an mpmc_ring that gets no memory throws, and leaks nothing") {
  const support::failing_allocations now(0);
  bool thrown = false;
  try {
    mpmc_ring<int> ring(1);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown == support::counts_allocations);
}

TEST_CASE("only the construction of an mpmc_ring allocates") {
  mpmc_ring<int> ring(64);
  const std::size_t before = support::allocations();
  bool all = true;
  int numbers[100] = {};
  for (int i = 0; i < 1000; ++i) {
    all = ring.try_push(int{i}) && all;
    all = ring.try_pop() == i && all;
    all = ring.try_push_n(numbers, 100) == 64 && all;
    all = ring.try_pop_n(numbers, 100) == 64 && all;
  }
  CHECK(support::allocations() == before);
  CHECK(all);
}

TEST_CASE("an mpmc_ring takes as much memory as it says, in one piece") {
  CHECK(memory_for<void*>(1000) == 1000 * 16);
  CHECK(memory_for<int>(1) == 16);
  CHECK(memory_for<std::array<void*, 3>>(1000) == 1000 * 32);
  CHECK(memory_for<messages::over_aligned>(10) == 10 * 128);
  CHECK(memory_for<void*, millrace::scattered_slots>(1000) == 1000 * 16);
  CHECK(memory_for<void*, millrace::padded_slots>(1000) == 1000 * 64);
  CHECK(counting_memory::blocks == 0);
  STATIC_REQUIRE(sizeof(mpmc_ring<int>) <= 320);
}

TEST_CASE("a full mpmc_ring leaves the arguments of emplace alone") {
  mpmc_ring<std::unique_ptr<int>> ring(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  CHECK(ring.try_emplace(std::move(first)));
  CHECK(first == nullptr);
  CHECK_FALSE(ring.try_emplace(std::move(second)));
  REQUIRE(second);
  CHECK(*second == 2);
}

TEST_CASE("a push whose construction may throw is not refused because another one came first") {
  millrace::mpmc_ring<std::string, interrupted> ring(4);
  other = &ring;
  const std::string text = "text";
  interrupted::next = [] { static_cast<void>(other->try_push(std::string("first"))); };
  CHECK(ring.try_push(text));
  CHECK(ring.try_pop() == "first");
  CHECK(ring.try_pop() == "text");
}
