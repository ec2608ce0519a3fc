// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#if MILLRACE_VERSION < 100
#error "MILLRACE_VERSION is missing"
#endif

int main() {
  millrace::bounded_queue<int> q(4);
  (void)q.try_push(1);
  return *q.try_pop() == 1 ? 0 : 1;
}
