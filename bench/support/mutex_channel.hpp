// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/promise_env.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace baseline {

/// What to beat: a coroutine channel of a mutex, a ring and intrusive waiters. A push hands its message
/// to the first waiting pop; a pop puts the first waiting push's message into the ring. It allocates
/// nothing and takes the mutex once for each operation, unless that has to wait; it wakes coroutines
/// in the same way as millrace's queues, on the same executors, after the unlock.
template <class T>
class mutex_channel {
  struct waiter : millrace::work_item {
    explicit waiter(std::optional<T> m = {}) : message(std::move(m)) {}

    template <class Promise>
    void sleep(std::coroutine_handle<Promise> awaiting, millrace::work_list& list, std::mutex& mutex) {
      coroutine = awaiting;
      home = millrace::promise_env<Promise>::get(awaiting.promise()).executor;
      run = [](millrace::work_item* item) noexcept {
        auto* const self = static_cast<waiter*>(item);
        const millrace::executor_ref where = self->home;
        millrace::detail::trampoline<millrace::default_traits>::enter(self->coroutine, where);
      };
      list.push_back(*this);
      mutex.unlock();  // *this may be gone from here on
    }
    void wake() noexcept {
      const millrace::executor_ref where = home;
      where.post(*this);
    }

    std::coroutine_handle<> coroutine;
    millrace::executor_ref home;
    std::optional<T> message;
    bool closed = false;
  };

  struct pushing : waiter {
    bool await_ready() {
      at.mutex_.lock();
      if (!at.poppers_.empty()) {
        auto& popper = static_cast<waiter&>(at.poppers_.pop_front());
        at.mutex_.unlock();
        popper.message = std::move(this->message);
        popper.wake();
        return true;
      }
      this->closed = at.closed_;
      if (!this->closed && at.size_ == at.ring_.size()) return false;  // keeps the mutex
      if (!this->closed) at.put(*std::move(this->message));
      at.mutex_.unlock();
      return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) {
      this->sleep(awaiting, at.pushers_, at.mutex_);
    }
    bool await_resume() const { return !this->closed; }

    mutex_channel& at;
  };

  struct popping : waiter {
    bool await_ready() {
      at.mutex_.lock();
      if (at.size_ == 0 && !at.closed_) return false;  // keeps the mutex
      waiter* pusher = nullptr;
      if (at.size_ != 0) {
        this->message = at.take();
        if (!at.pushers_.empty()) {
          pusher = &static_cast<waiter&>(at.pushers_.pop_front());
          at.put(*std::move(pusher->message));
        }
      }
      at.mutex_.unlock();
      if (pusher != nullptr) pusher->wake();
      return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) {
      this->sleep(awaiting, at.poppers_, at.mutex_);
    }
    std::optional<T> await_resume() { return std::move(this->message); }

    mutex_channel& at;
  };

 public:
  explicit mutex_channel(std::size_t capacity) : ring_(capacity) {}

  pushing push(T message) { return {waiter(std::move(message)), *this}; }
  /// Nothing: closed and empty.
  popping pop() { return {waiter(), *this}; }

  void close() {
    millrace::work_list woken;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      while (!poppers_.empty()) woken.push_back(poppers_.pop_front());
      while (!pushers_.empty()) woken.push_back(pushers_.pop_front());
    }
    while (!woken.empty()) {
      auto& ended = static_cast<waiter&>(woken.pop_front());
      ended.closed = true;
      ended.wake();
    }
  }

 private:
  void put(T&& message) {
    const std::size_t end = first_ + size_++;
    ring_[end < ring_.size() ? end : end - ring_.size()] = std::move(message);
  }
  T take() {
    T message = std::move(ring_[first_]);
    if (++first_ == ring_.size()) first_ = 0;
    --size_;
    return message;
  }

  std::mutex mutex_;
  std::vector<T> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  millrace::work_list poppers_;
  millrace::work_list pushers_;
};

}  // namespace baseline
