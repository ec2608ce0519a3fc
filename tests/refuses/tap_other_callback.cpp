// expect: millrace: the callback cannot be called with what is published
// SPDX-License-Identifier: BSL-1.0
#include <memory>

#include <millrace/callback/tap.hpp>
#include <millrace/queue/bounded_queue.hpp>

#ifdef MILLRACE_CONTROL
using argument = const std::unique_ptr<int>&;
#else
using argument = std::unique_ptr<int>;
#endif

int main() {
  millrace::bounded_queue<std::unique_ptr<int>> q(1);
  auto s = millrace::tap(q, [](argument) {});
}
