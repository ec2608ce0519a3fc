// expect: send std::unique_ptr<T> instead
// SPDX-License-Identifier: BSL-1.0
#include <millrace/millrace.hpp>

struct message {
  message() = default;
#ifdef MILLRACE_CONTROL
  message(message&&) noexcept {}
#else
  message(message&&) noexcept(false) {}
#endif
};

int main() { millrace::bounded_queue<message> q(1); }
