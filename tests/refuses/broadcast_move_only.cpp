// expect: std::shared_ptr<const T> instead of a T that cannot be copied
// SPDX-License-Identifier: BSL-1.0
#include <memory>

#include <millrace/millrace.hpp>

int main() {
#ifdef MILLRACE_CONTROL
  millrace::broadcast<std::shared_ptr<const int>> b(1);
#else
  millrace::broadcast<std::unique_ptr<int>> b(1);
#endif
}
