// expect: a topic's messages are objects
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
millrace::topic<int> numbers;
#else
millrace::topic<const int&> numbers;
#endif

int main() {}
