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
/// pass() yields how many have passed before, or
/// minus the status that it was refused with.
class gate {
 public:
  using traits = millrace::default_traits;
  using waiter = millrace::detail::waiter<traits>;

  /// The step of pass(); it holds `cargo` for as long as it lives.
  class step {
   public:
    using traits = gate::traits;
    using result_type = int;

    step(gate& at, counted cargo) noexcept : gate_(&at), cargo_(std::move(cargo)) {}
    bool attempt_fast() noexcept { return attempt(); }
    bool attempt() noexcept { return gate_->enter(); }
    bool park(waiter& w) noexcept { return gate_->line_up(w); }
    const void* parks_at() const noexcept { return gate_; }
    bool withdraw(waiter& w) noexcept { return gate_->leave(w); }
    void refuse(millrace::op_status why) noexcept { refused_ = why; }
    int take_result() noexcept {
      return refused_ == millrace::op_status::ok ? gate_->count() : -static_cast<int>(refused_);
    }

   private:
    gate* gate_;
    counted cargo_;
    millrace::op_status refused_ = millrace::op_status::ok;
  };

  auto pass() noexcept { return millrace::operation<step>(std::in_place_type<step>, *this, counted(0)); }

  void open() {
    waiter* w = nullptr;
    {
      const std::lock_guard guard(mutex_);
      w = waiting_.take();
      if (w == nullptr) ++opened_;
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
  /// Whether one has passed.
  bool enter() {
    const std::lock_guard guard(mutex_);
    if (opened_ == 0) return false;
    --opened_;
    return true;
  }
  /// Where nobody may pass at once.
  bool line_up(waiter& w) {
    const std::lock_guard guard(mutex_);
    if (opened_ == 0) waiting_.push_back(w);
    return opened_ == 0;
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
