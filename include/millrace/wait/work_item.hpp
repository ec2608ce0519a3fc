// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace millrace {

/// A piece of work that an executor runs once. Intrusive: whoever posts it owns it, and keeps it
/// alive until run() has begun; run() may destroy it. Posting therefore never allocates.
struct work_item {
  work_item* next = nullptr;                   ///< the executor's, from post() until run()
  void (*run)(work_item*) noexcept = nullptr;  ///< called once, with the item itself
};

/// Work items in the order in which they were added. Owns nothing.
///
/// Threads     none: its owner guards it.
class work_list {
 public:
  bool empty() const noexcept { return front_ == nullptr; }

  void push_back(work_item& item) noexcept {
    item.next = nullptr;
    *end_ = &item;
    end_ = &item.next;
  }

  work_item& pop_front() noexcept {
    work_item& item = *front_;
    front_ = item.next;
    if (front_ == nullptr) end_ = &front_;
    return item;
  }

  work_list() noexcept = default;
  work_list(const work_list&) = delete;
  work_list& operator=(const work_list&) = delete;

 private:
  work_item* front_ = nullptr;
  work_item** end_ = &front_;
};

}  // namespace millrace
