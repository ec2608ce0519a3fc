// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/task.hpp>

namespace search {

/// A semaphore for coroutines, which is a queue of its free permits: a bound on how many of
/// something large there are at a time, wherever they are.
///
/// Lifetime   outlives its permits.
class permits {
  struct give_back {
    void operator()(permits* from) const noexcept { (void)from->free_.try_push('x'); }
  };

 public:
  /// Goes back when it is destroyed. Empty by default.
  using permit = std::unique_ptr<permits, give_back>;

  explicit permits(unsigned count) : free_(count) {
    for (; count != 0; --count) (void)free_.try_push('x');
  }

  millrace::task<permit> take() {
    (void)co_await free_.pop();
    co_return permit(this);
  }

 private:
  millrace::bounded_queue<char> free_;
};

using permit = permits::permit;

}  // namespace search
