// expect: keep the consumer in a variable
// SPDX-License-Identifier: BSL-1.0
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  auto [tx, rx] = millrace::make_channel<int>(1);
#ifdef MILLRACE_CONTROL
  (void)rx.pop();
#else
  (void)std::move(rx).pop();
#endif
}
