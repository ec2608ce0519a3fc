// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace baseline {

/// A limit, not a registry: a loop over functions that nobody may change meanwhile. Disconnects only the
/// one that came last.
template <class Event>
class bare_loop {
 public:
  struct handle {};

  template <class F>
  handle subscribe(F f) {
    listeners_.emplace_back(std::move(f));
    return {};
  }
  void disconnect(handle) { listeners_.pop_back(); }
  void publish(const Event& event) {
    for (const auto& listener : listeners_) listener(event);
  }

 private:
  std::vector<std::function<void(const Event&)>> listeners_;
};

/// Functions and who they are, in the order in which they came.
template <class Event>
class listener_list {
 public:
  using handle = std::uint64_t;

  template <class F>
  handle add(F f) {
    listeners_.emplace_back(++last_, std::move(f));
    return last_;
  }
  void remove(handle who) {
    const auto found =
        std::find_if(listeners_.begin(), listeners_.end(), [who](const auto& l) { return l.first == who; });
    if (found != listeners_.end()) listeners_.erase(found);
  }
  void call(const Event& event) const {
    for (const auto& listener : listeners_) listener.second(event);
  }

 private:
  handle last_ = 0;
  std::vector<std::pair<handle, std::function<void(const Event&)>>> listeners_;
};

/// What everybody writes first: a mutex, held while the listeners are called.
template <class Event>
class mutex_listeners {
 public:
  using handle = typename listener_list<Event>::handle;

  template <class F>
  handle subscribe(F f) {
    const std::lock_guard lock(mutex_);
    return listeners_.add(std::move(f));
  }
  void disconnect(handle who) {
    const std::lock_guard lock(mutex_);
    listeners_.remove(who);
  }
  void publish(const Event& event) {
    const std::lock_guard lock(mutex_);
    listeners_.call(event);
  }

 private:
  std::mutex mutex_;
  listener_list<Event> listeners_;
};

/// What is written next: each change makes a new list, each emission takes hold of the present one.
template <class Event>
class copied_listeners {
  // E1  change -> publish   the list.

 public:
  using handle = typename listener_list<Event>::handle;

  template <class F>
  handle subscribe(F f) {
    handle who = 0;
    change([&](list& next) { who = next.add(std::move(f)); });
    return who;
  }
  void disconnect(handle who) {
    change([who](list& next) { next.remove(who); });
  }
  void publish(const Event& event) {
    listeners_.load(std::memory_order_acquire)->call(event);  // E1 observe
  }

 private:
  using list = listener_list<Event>;

  void change(auto how) {
    const std::lock_guard lock(changing_);
    // relaxed: changes are made under the lock
    auto next = std::make_shared<list>(*listeners_.load(std::memory_order_relaxed));
    how(*next);
    listeners_.store(std::move(next), std::memory_order_release);  // E1 publish
  }

  std::mutex changing_;
  std::atomic<std::shared_ptr<const list>> listeners_{std::make_shared<const list>()};
};

}  // namespace baseline
