// SPDX-License-Identifier: BSL-1.0
//
// spsc_queue: who is woken may destroy it, and sleeps that several things may end, under every schedule.

#include <model/contests.hpp>
#include <model/queue_ends.hpp>

#include <millrace/queue/spsc_queue.hpp>

namespace millrace::model {
template <class T, class Traits>
inline constexpr bool is_for_one_pair<spsc_queue<T, Traits>> = true;
}

int main() {
  using namespace millrace::model;
  using queue = millrace::spsc_queue<message, model_traits>;
  check_ends<queue>();
  check_contests<queue>();
  return result();
}
