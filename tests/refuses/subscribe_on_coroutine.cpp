// expect: nobody awaits what a callback on an executor returns
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
using result = void;
#else
using result = millrace::task<>;
#endif

result consume(int);

int main() {
  millrace::callback_registry<void(int)> r;
  millrace::run_loop loop;
  auto s = subscribe_on(r, loop, [](int n) -> result { return consume(n); });
}
