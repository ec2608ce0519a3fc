// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/wait/work_item.hpp>

namespace support {

/// An executor that runs nothing until it is told to, and that knows no trampoline. For one thread.
class manual_executor {
 public:
  void post(millrace::work_item& item) noexcept {
    items_.push_back(item);
    ++posted_;
  }

  /// Runs one item; false: there was none.
  bool run_one() noexcept {
    if (items_.empty()) return false;
    millrace::work_item& item = items_.pop_front();
    item.run(&item);
    return true;
  }

  /// How many items were ever posted.
  int posted() const noexcept { return posted_; }

 private:
  millrace::work_list items_;
  int posted_ = 0;
};

}  // namespace support
