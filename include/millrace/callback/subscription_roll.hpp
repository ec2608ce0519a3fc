// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <millrace/callback/topic_subscription.hpp>

namespace millrace::detail {

/// Subscriptions that somebody will look for, each as the `subscription` (a holder) of an Entry. It does not keep
/// them connected: those that were disconnected are struck off when it would else grow.
///
/// Threads     any.
/// Progress    a mutex, while nothing but memory is allocated; no user code runs, and nothing is destroyed under it.
/// Errors      std::bad_alloc, with nothing done.
/// Complexity  add() is constant, amortised; the others are linear. At most twice as many entries as were ever
///             connected at the same time, and 8.
template <class Entry>
class subscription_roll {
 public:
  void add(Entry one) {
    std::vector<Entry> struck;  // destroyed after the lock
    const std::lock_guard guard(mutex_);
    if (entries_.size() == entries_.capacity()) {
      std::size_t connected = 0;
      for (Entry& e : entries_) connected += !e.subscription->is_disconnected();
      struck.reserve(entries_.size());
      std::vector<Entry> left;
      left.reserve(connected * 2 + 8);
      for (Entry& e : entries_) {
        // One that was still connected when they were counted may be so no longer, but none the other way round.
        (e.subscription->is_disconnected() ? struck : left).push_back(std::move(e));
      }
      entries_.swap(left);
    }
    entries_.push_back(std::move(one));
  }

  /// Those with wanted(entry), which are struck off.
  template <class Wanted>
  std::vector<Entry> take(Wanted wanted) {
    std::vector<Entry> taken;
    const std::lock_guard guard(mutex_);
    std::size_t count = 0;
    for (Entry& e : entries_) count += wanted(std::as_const(e)) ? 1U : 0U;
    taken.reserve(count);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (wanted(std::as_const(entries_[i]))) {
        taken.push_back(std::move(entries_[i]));
      } else {
        if (kept != i) entries_[kept] = std::move(entries_[i]);
        ++kept;
      }
    }
    while (entries_.size() > kept) entries_.pop_back();
    return taken;
  }

  /// visit(entry) for each, under the lock.
  template <class Visit>
  void for_each(Visit visit) {
    const std::lock_guard guard(mutex_);
    for (Entry& e : entries_) visit(e);
  }

  std::size_t size() {
    const std::lock_guard guard(mutex_);
    return entries_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace millrace::detail
