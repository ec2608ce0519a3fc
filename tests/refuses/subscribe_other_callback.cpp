// expect: millrace: the callback cannot be called with what is published
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/callback/callback_registry.hpp>

#ifdef MILLRACE_CONTROL
using argument = const std::string&;
#else
using argument = std::string&;
#endif

int main() {
  millrace::callback_registry<void(std::string)> names;
  auto s = names.subscribe([](argument) {});
}
