// SPDX-License-Identifier: BSL-1.0

// Bounded queues for many producers and many consumers. Read ratios of one run, never single figures.

#include <algorithm>
#include <cstddef>

#include <millrace/lockfree/mpmc_ring.hpp>

#include "support/mutex_queue.hpp"
#include "support/padded_turn_ring.hpp"
#include "support/vyukov_ring.hpp"
#include "support/workloads.hpp"

#if BENCH_MOODYCAMEL
#include "support/moodycamel.hpp"
#endif
#if BENCH_BOOST
#include <boost/lockfree/queue.hpp>
#endif
#if BENCH_TBB
#include <tbb/concurrent_queue.h>
#endif

namespace {

using bench::message;
using bench::plain;

struct mpmc_ring : plain<millrace::mpmc_ring<message>> {
  static constexpr const char* name = "millrace::mpmc_ring";
  using plain::plain;
};
struct vyukov_ring : plain<baseline::vyukov_ring<message>> {
  static constexpr const char* name = "vyukov_ring";
  using plain::plain;
};
struct padded_turn_ring : plain<baseline::padded_turn_ring<message>> {
  static constexpr const char* name = "padded_turn_ring";
  using plain::plain;
};
struct mutex_deque : plain<baseline::mutex_queue<message>> {
  static constexpr const char* name = "mutex and deque";
  using plain::plain;
};

#if BENCH_BOOST
class boost_queue {
 public:
  static constexpr const char* name = "boost::lockfree::queue";
  using producer = boost_queue&;
  using consumer = boost_queue&;

  explicit boost_queue(std::size_t capacity) : queue_(std::min(capacity, most)) {}
  bool push(message m) { return queue_.bounded_push(m); }
  bool pop(message& m) { return queue_.pop(m); }

 private:
  static constexpr std::size_t most = 65534;  // its 16-bit indices count no more nodes

  boost::lockfree::queue<message, boost::lockfree::fixed_sized<true>> queue_;
};
#endif

#if BENCH_TBB
class tbb_queue {
 public:
  static constexpr const char* name = "tbb::concurrent_bounded_queue";
  using producer = tbb_queue&;
  using consumer = tbb_queue&;

  explicit tbb_queue(std::size_t capacity) { queue_.set_capacity(static_cast<std::ptrdiff_t>(capacity)); }
  bool push(message m) { return queue_.try_push(m); }
  bool pop(message& m) { return queue_.try_pop(m); }

 private:
  tbb::concurrent_bounded_queue<message> queue_;
};
#endif

template <std::size_t Capacity>
void register_capacity() {
  bench::register_rows<mpmc_ring, vyukov_ring, padded_turn_ring,
#if BENCH_MOODYCAMEL
                       bench::moodycamel_queue<Capacity>, bench::moodycamel_tokens<Capacity>,
#endif
#if BENCH_BOOST
                       boost_queue,
#endif
#if BENCH_TBB
                       tbb_queue,
#endif
                       mutex_deque>("bounded", Capacity, bench::all_shapes);
}

[[maybe_unused]] const bool registered = (register_capacity<1024>(), register_capacity<65536>(), true);

}  // namespace
