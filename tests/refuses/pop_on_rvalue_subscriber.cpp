// expect: keep the subscriber in a variable
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  millrace::broadcast<int> b(1);
#ifdef MILLRACE_CONTROL
  auto s = b.subscribe();
  (void)s.pop().wait();
#else
  b.subscribe().pop();
#endif
}
