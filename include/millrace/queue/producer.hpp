// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/channel.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/wait/op_status.hpp>

namespace millrace {

template <class T, class Queue>
class weak_producer;

/// The end of a channel that messages go into. A copy is one more end; when the last one is gone,
/// the queue closes: consumers take what is left, then see `closed`.
///
/// Threads     as the queue, but one end is copied, moved or destroyed by one thread at a time.
/// Lifetime    its operations end before it goes. A moved-from end may only be assigned to or
///             destroyed.
template <class T, class Queue = bounded_queue<T>>
class producer {
 public:
  using value_type = T;
  using queue_type = Queue;

  explicit producer(std::shared_ptr<detail::channel<Queue>> to) noexcept : end_(std::move(to)) {}

  auto push(T message) const noexcept { return end_.queue().push(std::move(message)); }
  template <class... Args>
    requires std::constructible_from<T, Args...>
  auto emplace(Args&&... args) const noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    return end_.queue().emplace(std::forward<Args>(args)...);
  }
  auto push_from(T& x) const noexcept { return end_.queue().push_from(x); }

  op_status try_push(T&& message) const noexcept { return end_.queue().try_push(std::move(message)); }
  op_status try_push(const T& message) const noexcept(std::is_nothrow_copy_constructible_v<T>)
    requires std::copy_constructible<T>
  {
    return end_.queue().try_push(message);
  }
  template <class... Args>
    requires std::constructible_from<T, Args...>
  op_status try_emplace(Args&&... args) const noexcept(std::is_nothrow_constructible_v<T, Args...>) {
    return end_.queue().try_emplace(std::forward<Args>(args)...);
  }

  template <class I, class S>
  auto push_range(I first, S last) const noexcept {
    return end_.queue().push_range(std::move(first), std::move(last));
  }

  bool close() const noexcept { return end_.queue().close(); }
  bool close(std::exception_ptr reason) const noexcept { return end_.queue().close(std::move(reason)); }

  bool is_closed() const noexcept { return end_.queue().is_closed(); }
  std::exception_ptr close_reason() const noexcept { return end_.queue().close_reason(); }
  queue_stats stats() const noexcept { return end_.queue().stats(); }
  std::size_t size_approx() const noexcept { return end_.queue().size_approx(); }
  std::size_t capacity() const noexcept
    requires requires(const Queue& q) { q.capacity(); }
  {
    return end_.queue().capacity();
  }

  /// A handle that does not keep the queue open.
  weak_producer<T, Queue> downgrade() const noexcept { return weak_producer<T, Queue>(end_.downgraded()); }

 private:
  friend weak_producer<T, Queue>;
  using end_type = detail::channel_end<Queue, &detail::channel<Queue>::producers>;

  explicit producer(end_type end) noexcept : end_(std::move(end)) {}

  end_type end_;
};

/// What is left of a producer that was downgraded: it may become one again, for as long as there is another.
///
/// Threads     as producer.
template <class T, class Queue = bounded_queue<T>>
class weak_producer {
 public:
  /// One more end; nothing, where the last one has gone.
  std::optional<producer<T, Queue>> lock() const noexcept {
    auto end = producer<T, Queue>::end_type::revived(channel_.lock());
    if (!end) return std::nullopt;
    return producer<T, Queue>(std::move(end));
  }

 private:
  friend producer<T, Queue>;
  explicit weak_producer(std::weak_ptr<detail::channel<Queue>> to) noexcept : channel_(std::move(to)) {}

  std::weak_ptr<detail::channel<Queue>> channel_;
};

}  // namespace millrace
