// expect: push_range pushes one after the other
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
  int numbers[] = {1, 2};
#ifdef MILLRACE_CONTROL
  (void)millrace::select(q.push(numbers[0])).wait();
#else
  (void)millrace::select(q.push_range(numbers, numbers + 2)).wait();
#endif
}
