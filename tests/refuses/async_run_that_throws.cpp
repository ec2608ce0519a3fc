// expect: millrace: async_run(op): what op throws has nowhere to go
// SPDX-License-Identifier: BSL-1.0
#if __has_include(<asio.hpp>)

#include <asio/detached.hpp>

#include <millrace/interop/asio.hpp>
#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<int> q(1);
  millrace::scope work;
#ifdef MILLRACE_CONTROL
  millrace::async_run(q.pop(), asio::detached);
#else
  millrace::async_run(work.join(), asio::detached);
#endif
}

#elif !defined(MILLRACE_CONTROL)
#error "millrace: async_run(op): what op throws has nowhere to go (there is no Asio here)"
#endif
