// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <millrace/detail/atomic.hpp>

namespace millrace::detail {

/// The queue between producers and consumers, and how many of each there are.
///
/// Lifetime   lives as long as one of its ends.
template <class Queue>
struct channel {
  template <class... Args>
  explicit channel(Args&&... args) : queue(argument(std::forward<Args>(args))...) {}

  /// make_channel<T>(4) gives an int where a queue takes a std::size_t.
  template <class Arg>
  static decltype(auto) argument(Arg&& arg) noexcept {
    if constexpr (std::is_integral_v<std::remove_cvref_t<Arg>>) {
      return static_cast<std::size_t>(arg);
    } else {
      return std::forward<Arg>(arg);
    }
  }

  Queue queue;
  default_traits::atomic<std::size_t> producers{0};
  default_traits::atomic<std::size_t> consumers{0};
};

/// One end of a channel, counted in channel::*Count: the last one to go closes the queue.
template <class Queue, auto Count>
class channel_end {
  // E1  end gone -> last gone   all that went through any end, to who closes.
 public:
  explicit channel_end(std::shared_ptr<channel<Queue>> to) noexcept : channel_(std::move(to)) { count(); }
  /// One more end, unless the last one has gone: then it is empty.
  static channel_end revived(std::shared_ptr<channel<Queue>> to) noexcept {
    if (to == nullptr) return channel_end();
    auto& ends = (*to).*Count;
    std::size_t found = ends.load(std::memory_order_relaxed);  // relaxed: settled by the CAS
    while (found != 0) {
      if (ends.compare_exchange_weak(found, found + 1,
                                     std::memory_order_relaxed,     // relaxed: another end exists
                                     std::memory_order_relaxed)) {  // relaxed: tried again
        channel_end end;
        end.channel_ = std::move(to);
        return end;
      }
    }
    return channel_end();
  }
  channel_end(const channel_end& other) noexcept : channel_(other.channel_) { count(); }
  channel_end(channel_end&& other) noexcept = default;
  channel_end& operator=(channel_end other) noexcept {
    channel_.swap(other.channel_);
    return *this;
  }
  ~channel_end() {
    if (channel_ == nullptr) return;
    auto& left = (*channel_).*Count;
    if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) channel_->queue.close();  // E1 publish, E1 observe
  }

  explicit operator bool() const noexcept { return channel_ != nullptr; }
  Queue& queue() const noexcept { return channel_->queue; }
  std::weak_ptr<channel<Queue>> downgraded() const noexcept { return channel_; }

 private:
  channel_end() noexcept = default;

  void count() noexcept {
    if (channel_) {
      ((*channel_).*Count).fetch_add(1, std::memory_order_relaxed);  // relaxed: another end exists
    }
  }

  std::shared_ptr<channel<Queue>> channel_;
};

}  // namespace millrace::detail
