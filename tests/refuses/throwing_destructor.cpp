// expect: a message must be nothrow-destructible
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

struct message {
  message() = default;
  message(message&&) noexcept {}
#ifdef MILLRACE_CONTROL
  ~message() {}
#else
  ~message() noexcept(false) {}
#endif
};

int main() { millrace::mpmc_ring<message> ring(1); }
