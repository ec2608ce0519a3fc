// expect: a callback_registry is told what its callbacks take
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
millrace::callback_registry<void(const int&)> numbers;
#else
millrace::callback_registry<int> numbers;
#endif

int main() {}
