// expect: it takes const T&, T&& or T, not T&
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
using argument = const int&;
#else
using argument = int&;
#endif

int main() {
  millrace::callback_registry<void(int&)> r;
  millrace::run_loop loop;
  auto s = subscribe_on(r, loop, [](argument) {});
}
