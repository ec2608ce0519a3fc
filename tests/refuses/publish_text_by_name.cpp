// expect: say what type the topic has
// SPDX-License-Identifier: BSL-1.0
#include <string>

#include <millrace/millrace.hpp>

int main() {
  millrace::message_bus bus;
#ifdef MILLRACE_CONTROL
  bus.publish<std::string>("names", "somebody");
#else
  bus.publish("names", "somebody");
#endif
}
