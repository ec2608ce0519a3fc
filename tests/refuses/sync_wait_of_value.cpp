// expect: millrace: sync_wait(awaitable): it is given what can be awaited
// SPDX-License-Identifier: BSL-1.0
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>

millrace::task<int> one() { co_return 1; }

int main() {
#ifdef MILLRACE_CONTROL
  millrace::sync_wait(one());
#else
  millrace::sync_wait(one);
#endif
}
