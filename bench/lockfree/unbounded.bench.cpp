// SPDX-License-Identifier: BSL-1.0

// Unbounded queues for many producers and many consumers. Read ratios of one run, never single figures.

#include <cstddef>

#include <millrace/lockfree/segmented_queue.hpp>

#include "support/mutex_queue.hpp"
#include "support/workloads.hpp"

#if BENCH_MOODYCAMEL
#include "support/moodycamel.hpp"
#endif
#if BENCH_TBB
#include <tbb/concurrent_queue.h>
#endif

namespace {

using bench::message;
using bench::plain;

struct segmented_queue : plain<millrace::segmented_queue<message>> {
  static constexpr const char* name = "millrace::segmented_queue";
  using plain::plain;
};
struct mutex_deque : plain<baseline::mutex_queue<message>> {
  static constexpr const char* name = "mutex and deque";
  using plain::plain;
};

#if BENCH_TBB
class tbb_queue {
 public:
  static constexpr const char* name = "tbb::concurrent_queue";
  using producer = tbb_queue&;
  using consumer = tbb_queue&;

  explicit tbb_queue(std::size_t) {}
  bool push(message m) {
    queue_.push(m);
    return true;
  }
  bool pop(message& m) { return queue_.try_pop(m); }

 private:
  tbb::concurrent_queue<message> queue_;
};
#endif

[[maybe_unused]] const bool registered =
    (bench::register_rows<segmented_queue,
#if BENCH_MOODYCAMEL
                          bench::moodycamel_queue<0>, bench::moodycamel_tokens<0>,
#endif
#if BENCH_TBB
                          tbb_queue,
#endif
                          mutex_deque>("unbounded", bench::unbounded, bench::all_shapes),
     true);

}  // namespace
