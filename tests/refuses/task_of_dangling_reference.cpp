// expect: return_value
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
millrace::task<const int&> value(const int& n) { co_return n; }
#else
millrace::task<const int&> value(const int& n) { co_return n + 1; }
#endif

int main() {}
