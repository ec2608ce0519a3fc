// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/channel.hpp>
#include <millrace/queue/consumer.hpp>
#include <millrace/queue/producer.hpp>

namespace millrace {

/// Both ends of a new channel.
template <class T, class Queue = bounded_queue<T>>
struct ends {
  producer<T, Queue> tx;
  consumer<T, Queue> rx;
};

/// Makes a queue that is owned by its ends: `auto [tx, rx] = make_channel<int>(1024);`. It closes
/// itself when there is nobody left to push, or nobody left to pop.
///
/// Errors      as the queue's constructor.
/// Complexity  one allocation beside the queue's own.
template <class T, class Queue = bounded_queue<T>, class... QueueArguments>
  requires std::constructible_from<Queue, QueueArguments...>
ends<T, Queue> make_channel(QueueArguments&&... queue_arguments) {
  auto channel = std::make_shared<detail::channel<Queue>>(std::forward<QueueArguments>(queue_arguments)...);
  return {producer<T, Queue>(channel), consumer<T, Queue>(channel)};
}

}  // namespace millrace
