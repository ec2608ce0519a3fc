// expect: operation
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
  auto op = q.pop();
#ifdef MILLRACE_CONTROL
  auto other = std::move(op);
#else
  auto other = op;
#endif
  (void)other;
}
