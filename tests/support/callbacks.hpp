// SPDX-License-Identifier: BSL-1.0
#pragma once

// A list of listeners without a registry around it.

#include <millrace/callback/listener.hpp>
#include <millrace/callback/listener_list.hpp>
#include <millrace/detail/atomic.hpp>

namespace support {

/// Counts where it is freed.
class bare_list final : public millrace::detail::listener_list<millrace::default_traits> {
 public:
  explicit bare_list(int* freed = nullptr) : freed_(freed) {
    this->discard = [](millrace::detail::retired* self) noexcept {
      auto* const list = static_cast<bare_list*>(self);
      if (list->freed_ != nullptr) ++*list->freed_;
      delete list;
    };
  }
  ~bare_list() = default;

 private:
  int* freed_;
};

/// Counts where its callable is dropped, in place of having one.
class bare_listener final : public millrace::detail::listener<millrace::default_traits> {
 public:
  bare_listener(bare_list& list, int& drops, int priority = 0)
      : listener(list, &nothing, priority), drops_(&drops) {}
  ~bare_listener() override {
    if (!is_dropped()) ++*drops_;
  }

 private:
  static void nothing() {}
  static void skip() {}
  call_type callable(bool is_blocked) const noexcept override { return is_blocked ? &skip : &nothing; }
  void drop() noexcept override { ++*drops_; }

  int* drops_;
};

}  // namespace support
