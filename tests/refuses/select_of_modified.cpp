// expect: millrace: .on(), .with(), .within() and .until() belong to the whole select
// SPDX-License-Identifier: BSL-1.0
#include <chrono>

#include <millrace/millrace.hpp>

int main() {
  using namespace std::chrono_literals;
  millrace::bounded_queue<int> q(1);
#ifdef MILLRACE_CONTROL
  select(q.pop(), q.push(1)).within(1ms).wait();
#else
  select(q.pop().within(1ms), q.push(1)).wait();
#endif
}
