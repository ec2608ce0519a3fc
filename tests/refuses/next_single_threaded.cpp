// expect: not the single_threaded one
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
using threads = millrace::default_traits;
#else
using threads = millrace::single_threaded;
#endif

int main() {
  millrace::callback_registry<void(int), threads> r;
  (void)next(r).within(std::chrono::seconds(0)).wait();
}
