// expect: the callback is disconnected when its subscription goes
// SPDX-License-Identifier: BSL-1.0
#pragma GCC diagnostic error "-Wunused-result"
#include <millrace/millrace.hpp>

int main() {
  millrace::callback_registry<void(int)> numbers;
#ifdef MILLRACE_CONTROL
  const millrace::subscription kept = numbers.subscribe([](int) {});
#else
  numbers.subscribe([](int) {});
#endif
}
