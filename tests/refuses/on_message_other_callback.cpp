// expect: millrace: on_message(queue, executor, f): f cannot be called with the queue's messages
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/callback/on_message.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/run_loop.hpp>

#ifdef MILLRACE_CONTROL
using argument = std::string;
#else
using argument = int;
#endif

int main() {
  millrace::bounded_queue<std::string> q(1);
  millrace::run_loop loop;
  auto s = millrace::on_message(q, loop, [](argument) {});
}
