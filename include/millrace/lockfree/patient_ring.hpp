// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/claim.hpp>
#include <millrace/lockfree/patience.hpp>
#include <millrace/lockfree/ring_core.hpp>

namespace millrace::detail {

/// The ring under mpmc_ring: a ring_core without flags, whose single operations wait a moment where they find
/// it full or empty, and look again. Those of a batch need not, nor a floor above that puts its threads to
/// sleep.
///
/// Threads, Progress, Complexity  as ring_core.
template <class T, class Traits, class Layout>
class patient_ring : public ring_core<T, Traits, Layout, patience_beside<Traits>> {
  using ring = ring_core<T, Traits, Layout, patience_beside<Traits>>;

 public:
  using typename ring::ticket;

  using ring::ring;

  template <class... Args>
  MILLRACE_ALWAYS_INLINE claim try_put(Args&&... args) noexcept {
    const claim result = ring::try_put(std::forward<Args>(args)...);
    if (result == claim::done) [[likely]]
      return result;
    return put_again(std::forward<Args>(args)...);
  }

  template <class Sink>
  MILLRACE_ALWAYS_INLINE claim try_take(Sink&& sink) noexcept {
    const claim result = ring::try_take(sink);
    if (result == claim::done) [[likely]]
      return result;
    return take_again(sink);
  }

 private:
  /// Below that, there is no batch to wait for.
  static constexpr std::size_t least_capacity = 64;
  static constexpr std::size_t most_ahead = 32;

  // Not inlined: the way of those that need not wait stays short. The sink comes by value: a reference to it
  // would keep it in memory on that way.
  template <class... Args>
  MILLRACE_NOINLINE claim put_again(Args&&... args) noexcept {
    return waited_for_room() ? ring::try_put(std::forward<Args>(args)...) : claim::blocked;
  }
  template <class Sink>
  MILLRACE_NOINLINE claim take_again(Sink sink) noexcept {
    return waited_for_messages() ? ring::try_take(sink) : claim::blocked;
  }

  bool waited_for_room() noexcept {
    if (this->capacity() < least_capacity) return false;
    const ticket at = this->place(this->tail());
    const ticket far = ahead_of(at);
    return this->beside_tail().wait(at, [this, far]() noexcept { return this->is_free(far); });
  }
  bool waited_for_messages() noexcept {
    if (this->capacity() < least_capacity) return false;
    const ticket at = this->place(this->head());
    const ticket far = ahead_of(at);
    return this->beside_head().wait(at, [this, far]() noexcept { return this->is_published(far); });
  }

  /// The ticket a batch ahead.
  ticket ahead_of(ticket at) const noexcept {
    const std::size_t part = this->capacity() / 4;
    for (std::size_t n = part < most_ahead ? part : most_ahead; n != 0; --n) at = this->next(at);
    return at;
  }
};

}  // namespace millrace::detail
