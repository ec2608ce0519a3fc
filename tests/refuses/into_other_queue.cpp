// expect: millrace: into(queue): the queue has messages of another type than the stage before it gives
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>

int main() {
  millrace::bounded_queue<std::string> in(1);
#ifdef MILLRACE_CONTROL
  millrace::bounded_queue<std::string> out(1);
#else
  millrace::bounded_queue<int> out(1);
#endif
  auto p = millrace::from(in) | millrace::into(out);
  static_cast<void>(p);
}
