// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mutex>
#include <utility>

#include <millrace/detail/atomic.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/waiter.hpp>

#include "support/counted.hpp"

namespace support {

/// The least that an operation can wait for: open() lets one waiter pass, or the next to come.
/// pass() yields how many have passed before.
class gate {
 public:
  using traits = millrace::default_traits;
  using waiter = millrace::detail::waiter<traits>;
  using progress = millrace::detail::progress;

  /// The step of pass(); it holds `cargo` for as long as it lives.
  class step {
   public:
    using traits = gate::traits;
    using result_type = int;

    step(gate& at, counted cargo) noexcept : gate_(&at), cargo_(std::move(cargo)) {}
    bool attempt_fast() noexcept { return gate_->enter(nullptr) == progress::completed; }
    progress attempt(waiter* w) noexcept { return gate_->enter(w); }
    bool withdraw(waiter& w) noexcept { return gate_->leave(w); }
    int take_result() noexcept { return gate_->count(); }

   private:
    gate* gate_;
    counted cargo_;
  };

  auto pass() noexcept {
    return millrace::operation<step>(std::in_place_type<step>, *this, counted(0));
  }

  void open() {
    waiter* w = nullptr;
    {
      const std::lock_guard guard(mutex_);
      if (waiting_.empty()) {
        ++opened_;
      } else {
        w = &waiting_.pop_front();
      }
    }
    if (w != nullptr) millrace::detail::wake(*w);
  }

  int passed() {
    const std::lock_guard guard(mutex_);
    return passed_;
  }
  bool somebody_waits() {
    const std::lock_guard guard(mutex_);
    return !waiting_.empty();
  }

 private:
  progress enter(waiter* w) {
    const std::lock_guard guard(mutex_);
    if (opened_ > 0) {
      --opened_;
      return progress::completed;
    }
    if (w == nullptr) return progress::must_wait;
    waiting_.push_back(*w);
    return progress::parked;
  }
  bool leave(waiter& w) {
    const std::lock_guard guard(mutex_);
    if (!w.is_listed()) return false;
    waiting_.remove(w);
    return true;
  }
  int count() {
    const std::lock_guard guard(mutex_);
    return passed_++;
  }

  std::mutex mutex_;
  millrace::detail::waiter_list<traits> waiting_;
  int opened_ = 0;
  int passed_ = 0;
};

}  // namespace support
