// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/channel.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/queue_stats.hpp>

namespace millrace {

namespace detail {

/// An error that says why an operation is not that of a consumer which is given away.
template <class Dependent>
struct kept_consumer {
  static_assert(
      !std::same_as<Dependent, Dependent>,
      "millrace: keep the consumer in a variable: if it were the last one, its going would close the "
      "queue");
  static constexpr bool met = true;
};

}  // namespace detail

template <class T, class Queue>
class weak_consumer;

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
  template <class Rvalue = T>
  auto pop() const&& {  // auto: so that no error comes before this one
    static_assert(detail::kept_consumer<Rvalue>::met);
  }
  pop_result<T> try_pop() const noexcept { return end_.queue().try_pop(); }
  template <class OutputIt>
  auto pop_some(OutputIt out, std::size_t most) const& {
    return end_.queue().pop_some(std::move(out), most);
  }
  template <class OutputIt>
  auto pop_some(OutputIt, std::size_t) const&& {
    static_assert(detail::kept_consumer<OutputIt>::met);
  }
  template <class OutputIt>
  std::size_t try_pop_some(OutputIt out, std::size_t most) const {
    return end_.queue().try_pop_some(std::move(out), most);
  }
  auto drained() const noexcept { return end_.queue().drained(); }

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
  weak_consumer<T, Queue> downgrade() const noexcept { return weak_consumer<T, Queue>(end_.downgraded()); }

 private:
  friend weak_consumer<T, Queue>;
  using end_type = detail::channel_end<Queue, &detail::channel<Queue>::consumers>;

  explicit consumer(end_type end) noexcept : end_(std::move(end)) {}

  end_type end_;
};

/// What is left of a consumer that was downgraded: it may become one again, for as long as there is another.
///
/// Threads     as consumer.
template <class T, class Queue = bounded_queue<T>>
class weak_consumer {
 public:
  /// One more end; nothing, where the last one has gone.
  std::optional<consumer<T, Queue>> lock() const noexcept {
    auto end = consumer<T, Queue>::end_type::revived(channel_.lock());
    if (!end) return std::nullopt;
    return consumer<T, Queue>(std::move(end));
  }

 private:
  friend consumer<T, Queue>;
  explicit weak_consumer(std::weak_ptr<detail::channel<Queue>> to) noexcept : channel_(std::move(to)) {}

  std::weak_ptr<detail::channel<Queue>> channel_;
};

}  // namespace millrace
