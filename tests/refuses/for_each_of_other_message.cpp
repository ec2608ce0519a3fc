// expect: millrace: for_each(f): f cannot be called with what the stage before it gives
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>

int main() {
  millrace::bounded_queue<std::string> q(1);
#ifdef MILLRACE_CONTROL
  using message = std::string;
#else
  using message = int;
#endif
  auto p = millrace::from(q) | millrace::for_each([](const message&) {});
  static_cast<void>(p);
}
