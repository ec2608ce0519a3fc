// expect: millrace: map(f): f gives nothing: use tap(f) to look at messages, for_each(f) to end with them
// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
#ifdef MILLRACE_CONTROL
  auto p = millrace::from(q) | millrace::tap([](int) {}) | millrace::collect();
#else
  auto p = millrace::from(q) | millrace::map([](int) {}) | millrace::collect();
#endif
  static_cast<void>(p);
}
