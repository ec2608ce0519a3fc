// expect: co_await std::move(task)
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

millrace::task<int> one() { co_return 1; }

millrace::task<int> twice() {
  auto t = one();
#ifdef MILLRACE_CONTROL
  auto n = co_await std::move(t);
#else
  auto n = co_await t;
#endif
  co_return n;
}

int main() {}
