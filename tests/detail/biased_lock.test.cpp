// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/biased_lock.hpp>

#include <atomic>
#include <cstddef>
#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"

namespace {

using millrace::default_traits;

/// What is biased again at once, with its fences.
template <class Base, class Fence>
struct traits : Base {
  using fence = Fence;
  static constexpr unsigned rebias_after = 2;
};
using by_kernel = traits<default_traits, millrace::detail::asymmetric_fence>;
using by_fence = traits<default_traits, millrace::detail::symmetric_fence>;
using chaotic = traits<support::chaos_traits, millrace::detail::asymmetric_fence>;

template <class Traits>
struct guarded {
  using lock_type = millrace::detail::biased_lock<Traits>;
  typename lock_type::owner owners[2];
  lock_type lock{owners[0], owners[1]};
  std::size_t count[2] = {0, 0};  // races, but for the lock
  std::size_t beside = 0;

  /// Whether he was inside.
  bool use(int side) {
    if (lock.enter(owners[side])) {
      ++count[side];
      lock.leave(owners[side]);
      return true;
    }
    const unsigned marks = lock.lock();
    ++count[side];
    lock.unlock(marks);
    return false;
  }
};

}  // namespace

TEST_CASE("owners enter until somebody locks it, and again after some calm") {
  guarded<by_kernel> it;
  CHECK(it.use(0));
  CHECK(it.use(1));
  CHECK(it.lock.lock() == 0);
  it.lock.unlock(0);  // the first calm turn
  CHECK_FALSE(it.use(0));
  CHECK_FALSE(it.use(1));
  CHECK(it.use(0));
  CHECK(it.use(1));
  CHECK_FALSE(it.lock.is_used());
}

TEST_CASE("a mark keeps the owners out, and is for all to see") {
  using lock_type = guarded<by_kernel>::lock_type;
  guarded<by_kernel> it;
  CHECK(it.lock.lock() == 0);
  it.lock.unlock(lock_type::a_mark);
  CHECK(it.lock.marks() == lock_type::a_mark);
  for (int i = 0; i < 10; ++i) CHECK_FALSE(it.use(0));
  CHECK(it.lock.lock() == lock_type::a_mark);
  it.lock.unlock(0);
  while (!it.use(0)) {
  }
  CHECK(it.use(1));
}

TEST_CASE("who locks it beside its owners does not disturb them") {
  using lock_type = guarded<by_kernel>::lock_type;
  guarded<by_kernel> it;
  CHECK(it.lock.lock_beside() == 0);
  CHECK(it.lock.is_used());
  CHECK(it.use(0));
  it.lock.unlock_beside(0);
  CHECK(it.use(1));
  it.lock.lock();
  it.lock.unlock(lock_type::a_mark | lock_type::a_mark << 1);
  CHECK(it.lock.lock_beside() == (lock_type::a_mark | lock_type::a_mark << 1));
  it.lock.unlock_beside(lock_type::a_mark);
  CHECK(it.lock.marks() == lock_type::a_mark);
  CHECK_FALSE(it.use(0));
}

TEMPLATE_TEST_CASE("owners and lockers exclude each other", "", by_kernel, by_fence, chaotic) {
  const std::size_t turns = support::effort(20000, 20);
  guarded<TestType> it;
  std::atomic<bool> over{false};
  std::size_t seen[2] = {0, 0};
  std::size_t locked = 0;
  std::size_t inside[2] = {0, 0};
  bool went_back = false;
  const auto own = [&](int side) {
    for (std::size_t i = 0; i < turns; ++i) inside[side] += it.use(side) ? 1 : 0;
  };
  std::thread first([&] { own(0); });
  std::thread second([&] { own(1); });
  std::thread beside([&] {
    while (!over.load(std::memory_order_relaxed)) {
      it.lock.unlock_beside(it.lock.lock_beside());
      std::this_thread::yield();
    }
  });
  std::thread locker([&] {
    while (!over.load(std::memory_order_relaxed)) {
      const unsigned marks = it.lock.lock();
      went_back |= it.count[0] < seen[0] || it.count[1] < seen[1];
      seen[0] = it.count[0];
      seen[1] = ++it.count[1];
      ++locked;
      it.lock.unlock(marks);
      std::this_thread::yield();
    }
  });
  first.join();
  second.join();
  over.store(true, std::memory_order_relaxed);
  locker.join();
  beside.join();
  CHECK_FALSE(went_back);
  CHECK(it.count[0] == turns);
  CHECK(it.count[1] == turns + locked);
  CHECK(inside[0] + inside[1] > 0);
}
