// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/channel.hpp>
#include <millrace/queue/pop_result.hpp>

namespace millrace {

/// The end of a channel that messages come out of. A copy is one more end; when the last one is
/// gone, the queue closes: pushes fail, with their messages back.
///
/// Threads     as the queue, but one end is copied, moved or destroyed by one thread at a time.
/// Lifetime    its operations end before it goes. A moved-from end may only be assigned to or
///             destroyed. What is buffered when the last end of both kinds goes is destroyed.
template <class T, class Queue = bounded_queue<T>>
class consumer {
 public:
  using value_type = T;
  using queue_type = Queue;

  explicit consumer(std::shared_ptr<detail::channel<Queue>> from) noexcept : end_(std::move(from)) {}

  auto pop() const& noexcept { return end_.queue().pop(); }
  // clang-format off
  void pop() const&& = delete;  // millrace: keep the consumer in a variable: if it were the last one, its going would close the queue
  // clang-format on
  pop_result<T> try_pop() const noexcept { return end_.queue().try_pop(); }
  auto drained() const noexcept { return end_.queue().drained(); }

  bool is_closed() const noexcept { return end_.queue().is_closed(); }
  std::exception_ptr close_reason() const noexcept { return end_.queue().close_reason(); }
  std::size_t size_approx() const noexcept { return end_.queue().size_approx(); }
  std::size_t capacity() const noexcept
    requires requires(const Queue& q) { q.capacity(); }
  {
    return end_.queue().capacity();
  }

 private:
  detail::channel_end<Queue, &detail::channel<Queue>::consumers> end_;
};

}  // namespace millrace
