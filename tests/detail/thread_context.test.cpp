// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/thread_context.hpp>

#include <thread>

#include "support/catch.hpp"

using millrace::detail::this_thread_context;
using millrace::detail::thread_context;

TEST_CASE("each thread has a context of its own, all null at first") {
  thread_context* const mine = &this_thread_context();
  int here = 0;
  thread_context saved = *mine;
  mine->callback = &here;
  thread_context* others = nullptr;
  bool blank = false;
  std::thread([&] {
    others = &this_thread_context();
    blank = others->trampoline == nullptr && others->executor == nullptr &&
            others->worker == nullptr && others->callback == nullptr;
  }).join();
  CHECK(blank);
  CHECK(others != mine);
  CHECK(&this_thread_context() == mine);
  CHECK(this_thread_context().callback == &here);
  *mine = saved;
}
