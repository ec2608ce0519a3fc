// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace baseline {

/// What everybody writes first: a bounded queue of a mutex, a deque and two condition variables.
template <class T>
class mutex_queue {
 public:
  explicit mutex_queue(std::size_t capacity) : capacity_(capacity) {}

  bool try_push(T&& message) {
    {
      const std::lock_guard lock(mutex_);
      if (messages_.size() == capacity_) return false;
      messages_.push_back(std::move(message));
    }
    not_empty_.notify_one();
    return true;
  }
  bool try_pop(T& out) {
    {
      const std::lock_guard lock(mutex_);
      if (messages_.empty()) return false;
      out = std::move(messages_.front());
      messages_.pop_front();
    }
    not_full_.notify_one();
    return true;
  }

  void push(T&& message) {
    {
      std::unique_lock lock(mutex_);
      not_full_.wait(lock, [&] { return messages_.size() < capacity_; });
      messages_.push_back(std::move(message));
    }
    not_empty_.notify_one();
  }
  /// Nothing: closed and empty.
  std::optional<T> pop() {
    std::optional<T> message;
    {
      std::unique_lock lock(mutex_);
      not_empty_.wait(lock, [&] { return !messages_.empty() || closed_; });
      if (messages_.empty()) return message;
      message.emplace(std::move(messages_.front()));
      messages_.pop_front();
    }
    not_full_.notify_one();
    return message;
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    not_empty_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  std::deque<T> messages_;
  bool closed_ = false;
};

}  // namespace baseline
