// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <millrace/callback/listener.hpp>
#include <millrace/callback/retired.hpp>

namespace millrace::detail {

/// The cells of a listener_list, in the order in which they are called. Only grows, up to its capacity.
template <class Traits>
class listener_array : public retired {
  // E1  append -> emission   the listeners in the first `count` cells.

 public:
  using cell = typename Traits::template atomic<listener<Traits>*>;

  /// Errors: std::bad_alloc.
  static listener_array* make(std::uint32_t capacity) {
    void* const memory = Traits::allocate(offset() + capacity * sizeof(cell), alignment);
    auto* const self = ::new (memory) listener_array(capacity);
    for (std::uint32_t i = 0; i < capacity; ++i) ::new (static_cast<void*>(&self->at(i))) cell(nullptr);
    return self;
  }
  void destroy() noexcept {
    for (std::uint32_t i = 0; i < capacity_; ++i) at(i).~cell();
    this->~listener_array();
    Traits::deallocate(this, alignment);
  }

  std::uint32_t capacity() const noexcept { return capacity_; }
  std::uint32_t count() const noexcept { return count_.load(std::memory_order_acquire); }  // E1 observe
  listener<Traits>* get(std::uint32_t i) const noexcept {
    return const_cast<listener_array*>(this)->at(i).load(std::memory_order_relaxed);  // relaxed: E1
  }
  /// For who excludes others that change it.
  void append(listener<Traits>& l) noexcept {
    const std::uint32_t n = count_.load(std::memory_order_relaxed);  // relaxed: nobody else changes it
    at(n).store(&l, std::memory_order_relaxed);                      // relaxed: E1
    count_.store(n + 1, std::memory_order_release);                  // E1 publish
  }
  void clear(std::uint32_t i) noexcept {
    at(i).store(nullptr,
                std::memory_order_relaxed);  // relaxed: who misses that finds the listener not to be called
  }

 private:
  explicit listener_array(std::uint32_t capacity) noexcept : capacity_(capacity) {
    this->discard = [](retired* self) noexcept { static_cast<listener_array*>(self)->destroy(); };
  }
  ~listener_array() = default;

  cell& at(std::uint32_t i) noexcept {
    return reinterpret_cast<cell*>(reinterpret_cast<unsigned char*>(this) + offset())[i];
  }

  const std::uint32_t capacity_;
  typename Traits::template atomic<std::uint32_t> count_{0};

  // The cells lie behind it.
  static constexpr std::size_t alignment = alignof(cell) > alignof(retired) ? alignof(cell)
                                                                            : alignof(retired);
  static constexpr std::size_t offset() noexcept {
    return (sizeof(listener_array) + alignment - 1) / alignment * alignment;
  }
};

}  // namespace millrace::detail
