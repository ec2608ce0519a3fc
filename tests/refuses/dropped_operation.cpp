// expect: an operation does nothing until it is run
// SPDX-License-Identifier: BSL-1.0
#pragma GCC diagnostic error "-Wunused-result"
#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
#ifdef MILLRACE_CONTROL
  (void)q.pop();
#else
  q.pop();
#endif
}
