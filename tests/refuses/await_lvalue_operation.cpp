// expect: co_await std::move(operation)
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

millrace::task<int> take(millrace::bounded_queue<int>& q) {
  auto op = q.pop();
#ifdef MILLRACE_CONTROL
  auto m = co_await std::move(op);
#else
  auto m = co_await op;
#endif
  co_return *m;
}

int main() {}
