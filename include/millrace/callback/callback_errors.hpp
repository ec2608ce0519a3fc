// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include <millrace/callback/erased_function.hpp>
#include <millrace/detail/macros.hpp>

namespace millrace {

/// What publish() does about callbacks that throw. In any case all others are called.
enum class callback_errors : unsigned char {
  propagate,  ///< the first exception is rethrown, when all callbacks have been called
  collect,    ///< all of them are thrown then, as one callbacks_failed
};

/// All exceptions of one publication, in the order of the callbacks.
class callbacks_failed : public std::exception {
 public:
  explicit callbacks_failed(std::vector<std::exception_ptr> errors) noexcept : errors_(std::move(errors)) {}

  const std::vector<std::exception_ptr>& errors() const noexcept { return errors_; }
  const char* what() const noexcept override { return "millrace: callbacks have thrown; see errors()"; }

 private:
  std::vector<std::exception_ptr> errors_;
};

struct callback_registry_options {
  callback_errors errors = callback_errors::propagate;
  /// Is given each exception at once, and nothing is thrown. It must not throw, and may be called by several
  /// threads at the same time.
  erased_function<void(std::exception_ptr)> sink{};
};

namespace detail {

/// The exceptions of one publication, under the options of its registry. It ends with rethrow().
///
/// Complexity  a byte to set and to look at, unless a callback throws.
class thrown_errors {
 public:
  thrown_errors() noexcept {}
  thrown_errors(const thrown_errors&) = delete;
  thrown_errors& operator=(const thrown_errors&) = delete;
  ~thrown_errors() {}

  /// In a handler.
  MILLRACE_NOINLINE void caught(const callback_registry_options& options) noexcept {
    if (options.sink) return options.sink(std::current_exception());
    if (!exist_) {
      ::new (static_cast<void*>(&all_)) record{std::current_exception(), {}};
      exist_ = true;
    } else if (options.errors == callback_errors::collect) {
      try {
        all_.others.push_back(std::current_exception());
      } catch (...) {
        all_.has_lost = true;
      }
    }
    all_.collects = options.errors == callback_errors::collect;
  }

  void rethrow() {
    if (exist_) [[unlikely]]
      rethrow_all();
  }

 private:
  struct record {
    std::exception_ptr first;
    std::vector<std::exception_ptr> others;
    bool collects = false;
    bool has_lost = false;  // for want of memory
  };

  [[noreturn]] MILLRACE_NOINLINE void rethrow_all() {
    record mine = std::move(all_);
    all_.~record();
    if (!mine.collects || mine.has_lost) std::rethrow_exception(std::move(mine.first));
    mine.others.insert(mine.others.begin(), std::move(mine.first));
    throw callbacks_failed(std::move(mine.others));
  }

  bool exist_ = false;
  union {
    record all_;  // if they exist
  };
};

}  // namespace detail

}  // namespace millrace
