// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concurrentqueue/concurrentqueue.h>

#include <cstddef>

#include "support/workloads.hpp"

namespace bench {

/// Capacity 0: unbounded, as it comes. Else its bounded form, which allocates in the constructor only.
template <std::size_t Capacity>
struct moodycamel_traits : moodycamel::ConcurrentQueueDefaultTraits {
  // Both bound what one producer has queued: without tokens the blocks bound the whole queue anyway;
  // a token keeps its blocks, and could for ever starve the others of them.
  static const std::size_t IMPLICIT_INITIAL_INDEX_SIZE = Capacity / BLOCK_SIZE;  // at 1024: its default
  static const std::size_t MAX_SUBQUEUE_SIZE = Capacity;
};
template <>
struct moodycamel_traits<0> : moodycamel::ConcurrentQueueDefaultTraits {};

/// moodycamel::ConcurrentQueue: FIFO for each producer, not across producers.
template <std::size_t Capacity>
class moodycamel_queue {
 public:
  static constexpr const char* name = "moodycamel";
  using producer = moodycamel_queue&;
  using consumer = moodycamel_queue&;

  explicit moodycamel_queue(std::size_t)
    requires(Capacity == 0)
  {}
  explicit moodycamel_queue(std::size_t capacity, auto... most_ends)
    requires(Capacity != 0)
      : queue_(capacity, most_ends...) {}

  bool push(message m, auto&... token) {
    if constexpr (Capacity == 0) {
      return queue_.enqueue(token..., m);
    } else {
      return queue_.try_enqueue(token..., m);
    }
  }
  std::size_t push_n(const message* first, std::size_t n, auto&... token) {
    if constexpr (Capacity == 0) {
      return queue_.enqueue_bulk(token..., first, n) ? n : 0;
    } else {
      return queue_.try_enqueue_bulk(token..., first, n) ? n : 0;
    }
  }
  bool pop(message& m, auto&... token) { return queue_.try_dequeue(token..., m); }
  std::size_t pop_n(message* out, std::size_t n, auto&... token) {
    return queue_.try_dequeue_bulk(token..., out, n);
  }

 protected:
  moodycamel::ConcurrentQueue<message, moodycamel_traits<Capacity>> queue_;
};

/// The same with a token in each thread.
template <std::size_t Capacity>
class moodycamel_tokens : moodycamel_queue<Capacity> {
  using base = moodycamel_queue<Capacity>;

  template <class Token>
  class end {
   public:
    explicit end(moodycamel_tokens& queue) : queue_(queue), token_(queue.queue_) {}
    bool push(message m) { return queue_.push(m, token_); }
    bool pop(message& m) { return queue_.pop(m, token_); }
    std::size_t push_n(const message* first, std::size_t n) { return queue_.push_n(first, n, token_); }
    std::size_t pop_n(message* out, std::size_t n) { return queue_.pop_n(out, n, token_); }

   private:
    base& queue_;
    Token token_;
  };

 public:
  static constexpr const char* name = "moodycamel with tokens";
  static constexpr bool may_stall = true;  // seen in its bounded form, from 4 to 4 on
  using producer = end<moodycamel::ProducerToken>;
  using consumer = end<moodycamel::ConsumerToken>;

  explicit moodycamel_tokens(std::size_t)
    requires(Capacity == 0)
      : base(0) {}
  explicit moodycamel_tokens(std::size_t capacity)
    requires(Capacity != 0)
      : base(capacity, std::size_t{8}, std::size_t{0}) {}  // producers with tokens, and without
};

}  // namespace bench
