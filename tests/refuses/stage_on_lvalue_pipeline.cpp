// expect: millrace: a pipeline is made of what it is given: write std::move(pipeline) | stage
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/queue/bounded_queue.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
  auto source = millrace::from(q);
#ifdef MILLRACE_CONTROL
  auto p = std::move(source) | millrace::collect();
#else
  auto p = source | millrace::collect();
#endif
  static_cast<void>(p);
}
