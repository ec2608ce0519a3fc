// expect: nobody receives what callbacks return
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
millrace::callback_registry<void(int, int&)> votes;
#else
millrace::callback_registry<int(int)> votes;
#endif

int main() {}
