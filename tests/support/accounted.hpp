// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <utility>

namespace support {

/// What became of the messages of a test: each that was made is to be settled once.
struct ledger {
  std::atomic<int> made{0};
  std::atomic<int> settled{0};
  std::atomic<int> lost{0};  ///< were destroyed without having been settled

  bool is_balanced() const noexcept { return lost == 0 && made == settled; }
};

/// A move-only message that notices where it is lost.
class accounted {
 public:
  accounted(ledger& book, int number) noexcept : book_(&book), number_(number) { ++book.made; }
  accounted(accounted&& other) noexcept
      : book_(std::exchange(other.book_, nullptr)), number_(other.number_) {}
  accounted& operator=(accounted&&) = delete;
  ~accounted() {
    if (book_ != nullptr) ++book_->lost;
  }

  /// It has come to where it was to go, whoever holds it.
  void settle() const noexcept { ++std::exchange(book_, nullptr)->settled; }
  int number() const noexcept { return number_; }
  ledger& book() const noexcept { return *book_; }

 private:
  mutable ledger* book_;
  int number_;
};

}  // namespace support
