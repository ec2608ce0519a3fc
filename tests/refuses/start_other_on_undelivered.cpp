// expect: on_undelivered cannot be called with a const undelivered&
// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/thread_pool.hpp>

#ifdef MILLRACE_CONTROL
using argument = const millrace::undelivered&;
#else
using argument = int;
#endif

int main() {
  millrace::thread_pool pool(1);
  millrace::bounded_queue<int> q(1);
  auto run = start(pool, millrace::from(q) | millrace::for_each([](int) {}), [](argument) {});
  run.stop();
}
