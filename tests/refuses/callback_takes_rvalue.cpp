// expect: several callbacks cannot all take the same rvalue
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
millrace::callback_registry<void(std::string)> names;
#else
millrace::callback_registry<void(std::string&&)> names;
#endif

int main() {}
