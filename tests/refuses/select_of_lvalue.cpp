// expect: millrace: an operation runs once, so a stored one is given away: select(std::move(operation))
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
  auto op = q.pop();
#ifdef MILLRACE_CONTROL
  select(std::move(op), q.push(1)).wait();
#else
  select(op, q.push(1)).wait();
#endif
}
