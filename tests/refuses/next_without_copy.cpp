// expect: publish std::shared_ptr<const T>
// SPDX-License-Identifier: BSL-1.0
#include <memory>

#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
using message = std::shared_ptr<const int>;
#else
using message = std::unique_ptr<const int>;
#endif

int main() {
  millrace::callback_registry<void(const message&)> r;
  (void)next(r).within(std::chrono::seconds(0)).wait();
}
