// expect: millrace: start(executor, pipeline): the pipeline has no sink: end it with | into(queue)
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  millrace::thread_pool pool(1);
  millrace::bounded_queue<int> q(1);
  auto p = millrace::from(q) | millrace::map([](int n) { return n; });
#ifdef MILLRACE_CONTROL
  auto run = start(pool, std::move(p) | millrace::for_each([](int) {}));
  run.stop();
#else
  start(pool, std::move(p));
#endif
}
