// expect: millrace: map(f).on_error(): f takes its message away, so that is gone where it throws
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>

int main() {
  millrace::bounded_queue<std::string> q(1);
#ifdef MILLRACE_CONTROL
  using message = std::string&;
#else
  using message = std::string&&;
#endif
  auto p = millrace::from(q) | millrace::map([](message m) { return m.size(); }).on_error(millrace::skip()) |
           millrace::collect();
  static_cast<void>(p);
}
