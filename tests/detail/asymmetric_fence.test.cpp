// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/asymmetric_fence.hpp>

#include <atomic>
#include <cstddef>
#include <thread>

#include <millrace/detail/cpu.hpp>

#include "support/catch.hpp"
#include "support/effort.hpp"

using millrace::detail::asymmetric_fence;
using millrace::detail::symmetric_fence;

namespace {

/// Both threads begin a round at about the same time, and end it before the next.
class rounds {
 public:
  void begin(int round, int thread) {
    arrived_[thread].store(round, std::memory_order_release);
    for (int turn = 0; arrived_[1 - thread].load(std::memory_order_acquire) < round; ++turn) {
      if (turn > 200) millrace::detail::cpu_yield();
    }
  }

 private:
  std::atomic<int> arrived_[2] = {0, 0};
};

/// Each stores to its own word, then looks at the other's: how often both missed it.
template <class Fence>
std::size_t both_missed(int n) {
  alignas(64) std::atomic<int> x{0};
  alignas(64) std::atomic<int> y{0};
  rounds start;
  rounds end;
  int saw_x = 0;
  int saw_y = 0;
  std::size_t missed = 0;
  Fence::prepare();
  std::thread other([&] {
    for (int round = 1; round <= n; ++round) {
      start.begin(round, 1);
      y.store(round, std::memory_order_relaxed);
      Fence::heavy();
      saw_x = x.load(std::memory_order_relaxed);
      end.begin(round, 1);
    }
  });
  for (int round = 1; round <= n; ++round) {
    start.begin(round, 0);
    // The other one's call takes a while: a store that lies in wait for it, somewhere in there.
    for (int i = (round * 7) % 200; i > 0; --i) {
      x.store(round - 1, std::memory_order_relaxed);
      Fence::light();
      saw_y = y.load(std::memory_order_relaxed);
    }
    x.store(round, std::memory_order_relaxed);
    Fence::light();
    saw_y = y.load(std::memory_order_relaxed);
    end.begin(round, 0);
    if (saw_x < round && saw_y < round) ++missed;
  }
  other.join();
  return missed;
}

}  // namespace

TEMPLATE_TEST_CASE("of two threads that store and then look, one sees the other", "", asymmetric_fence,
                   symmetric_fence) {
  CHECK(both_missed<TestType>(static_cast<int>(support::effort(20000, 50))) == 0);
}
