// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
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

/// The exceptions of one publication, under the options of its registry.
///
/// Complexity  nothing, unless a callback throws.
class thrown_errors {
 public:
  /// In a handler.
  MILLRACE_NOINLINE void caught(const callback_registry_options& options) noexcept {
    if (options.sink) return options.sink(std::current_exception());
    if (!first_) {
      first_ = std::current_exception();
    } else if (options.errors == callback_errors::collect) {
      try {
        others_.push_back(std::current_exception());
      } catch (...) {
        has_lost_ = true;
      }
    }
    collects_ = options.errors == callback_errors::collect;
  }

  void rethrow() {
    if (first_) [[unlikely]]
      rethrow_all();
  }

 private:
  [[noreturn]] MILLRACE_NOINLINE void rethrow_all() {
    if (!collects_ || has_lost_) std::rethrow_exception(std::move(first_));
    others_.insert(others_.begin(), std::move(first_));
    throw callbacks_failed(std::move(others_));
  }

  std::exception_ptr first_;
  std::vector<std::exception_ptr> others_;
  bool collects_ = false;
  bool has_lost_ = false;  // for want of memory
};

}  // namespace detail

}  // namespace millrace
