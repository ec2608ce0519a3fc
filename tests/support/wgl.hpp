// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace support::wgl {

enum class kind : std::uint8_t { push, pop, close };

enum class answer : std::uint8_t {
  ok,       ///< a push or pop moved its message; a close was the one that closed
  refused,  ///< a push said full, a pop empty; a close came too late
  closed,   ///< a push or pop said closed
};

/// One call of a small history. Each message of a bulk call is a call of its own with the bulk call's
/// interval, and stands right behind its predecessor, marked `follows`.
struct call {
  std::uint64_t began;
  std::uint64_t ended;
  kind what;
  answer said;
  bool follows = false;
  std::uint32_t value = 0;  ///< of a push or pop that moved one; no two pushes have the same
  bool waits = false;       ///< a pop that waits for a message
};

using history = std::vector<call>;

/// Judges exactly whether a complete history of at most 32 calls is that of a FIFO queue with this
/// capacity (0: unbounded), by a search for an order of the calls that fits.
///
/// Source  J. Wing, C. Gong, "Testing and verifying concurrent objects" (1993); G. Lowe, "Testing for
///         linearizability" (2017): depth first, and what was found to lead nowhere is remembered.
///
/// The queue's rules, each of which has to hold where its call stands in the order:
///
///   push ok       not closed, less than `capacity` messages in
///   push full     not closed, `capacity` messages in; or the pop that emptied the cell which this push
///                 would fill is still in flight (the pop of the message `capacity` places ahead; a
///                 message that was handed to a waiting pop took no place)
///   push closed   closed
///   pop ok        it is the oldest message
///   pop empty     no message in, and not closed; or the push of the oldest one is still in flight
///   pop closed    no message in, and closed
///   close         ok: it was open, now it is closed; refused: it was closed
///
/// Pushes take effect in the order of their pops, as far as that is known from the pops' intervals; those
/// that nobody popped come last, and which of them is which does not matter.
///
/// A call is in flight until its `ended`. The calls take effect as early as their order permits: the
/// present is the latest `began` of those that have been placed, so a call that has been placed is in
/// flight now if it does not end before that.
class checker {
 public:
  bool check(const history& calls, std::size_t capacity) {
    if (calls.size() > most) throw std::invalid_argument("a history of more than 32 calls");
    calls_ = &calls;
    capacity_ = capacity;
    waits_ = std::any_of(calls.begin(), calls.end(), [](const call& c) { return c.waits; });
    seen_.clear();
    pusher_of_.assign(calls.size(), none);
    popper_of_.assign(calls.size(), none);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const call& c = calls[i];
      if (c.what != kind::pop || c.said != answer::ok) continue;
      const auto pushes = [&c](const call& other) {
        return other.what == kind::push && other.said == answer::ok && other.value == c.value;
      };
      const auto push = std::find_if(calls.begin(), calls.end(), pushes);
      if (push == calls.end()) return false;
      const auto pusher = static_cast<std::size_t>(push - calls.begin());
      if (popper_of_[pusher] != none) return false;
      popper_of_[pusher] = static_cast<std::uint8_t>(i);
      pusher_of_[i] = static_cast<std::uint8_t>(pusher);
    }
    before_.assign(calls.size(), 0);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      for (std::size_t j = 0; j < calls.size(); ++j) {
        if (popper_of_[j] == none || !is_push(calls[i])) continue;
        const bool first = popper_of_[i] == none || calls[popper_of_[j]].ended < calls[popper_of_[i]].began;
        if (first) before_[i] |= std::uint32_t{1} << j;
      }
    }
    return search(state{}, 0);
  }

  /// How many states the last search has been in.
  std::size_t effort() const noexcept { return seen_.size(); }

 private:
  static constexpr std::size_t most = 32;
  static constexpr std::uint8_t none = 0xff;

  struct state {
    std::uint32_t placed = 0;
    std::uint8_t pushed = 0;
    std::uint8_t popped = 0;
    bool closed = false;
    std::array<std::uint8_t, most> pushes{};  // in their order: [popped, pushed) are in the queue
  };
  /// What of a state matters from there on.
  struct key {
    std::uint32_t placed;
    std::array<std::uint8_t, most> recent;
    bool operator==(const key&) const = default;
  };
  struct hash {
    std::size_t operator()(const key& k) const noexcept {
      std::uint64_t h = k.placed;
      for (const std::uint8_t one : k.recent) h = (h ^ one) * 0x100000001b3u;
      return static_cast<std::size_t>(h ^ h >> 32);
    }
  };

  static bool is_push(const call& c) { return c.what == kind::push && c.said == answer::ok; }

  bool search(const state& at, std::uint64_t now) {
    const history& calls = *calls_;
    if (static_cast<std::size_t>(std::popcount(at.placed)) == calls.size()) return true;
    if (!seen_.insert(key_of(at)).second) return false;
    std::uint64_t first_end = ~std::uint64_t{0};
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!is_placed(at, i)) first_end = std::min(first_end, calls[i].ended);
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (is_placed(at, i) || calls[i].began > first_end) continue;
      if (calls[i].follows && !is_placed(at, i - 1)) continue;
      state next = at;
      const std::uint64_t then = std::max(now, calls[i].began);
      if (take_effect(next, i, then) && search(next, then)) return true;
    }
    return false;
  }

  static bool is_placed(const state& at, std::size_t i) { return (at.placed >> i & 1) != 0; }

  bool take_effect(state& at, std::size_t i, std::uint64_t now) const {
    const call& c = (*calls_)[i];
    const std::size_t size = std::size_t{at.pushed} - at.popped;
    at.placed |= std::uint32_t{1} << i;
    switch (c.what) {
      case kind::push:
        if (c.said == answer::closed) return at.closed;
        if (at.closed) return false;
        if (c.said == answer::refused) return capacity_ != 0 && (size == capacity_ || waits_for_pop(at, now));
        if (size == capacity_ && capacity_ != 0) return false;
        if ((before_[i] & ~at.placed) != 0) return false;
        at.pushes[at.pushed++] = static_cast<std::uint8_t>(i);
        return true;
      case kind::pop:
        if (c.said == answer::ok) return size != 0 && at.pushes[at.popped++] == pusher_of_[i];
        if (size != 0) return c.said == answer::refused && is_in_flight(at.pushes[at.popped], now);
        return at.closed == (c.said == answer::closed);
      case kind::close:
        if ((c.said == answer::ok) == at.closed) return false;
        at.closed = true;
        return true;
    }
    return false;
  }

  /// Whether the pop of the message `capacity` places ahead of the next push is in flight. Of the messages
  /// in between, any number of those that may have been handed over took no place.
  bool waits_for_pop(const state& at, std::uint64_t now) const {
    std::size_t handed_over = 0;
    for (std::size_t ahead = 1; ahead <= at.pushed && ahead <= capacity_ + handed_over; ++ahead) {
      const std::size_t index = at.pushed - ahead;
      if (index >= at.popped) continue;  // it is still in
      const std::size_t push = at.pushes[index];
      const std::size_t pop = popper_of_[push];
      if (ahead >= capacity_ && is_in_flight(pop, now)) return true;
      handed_over += (*calls_)[pop].waits && (*calls_)[pop].began <= (*calls_)[push].ended;
    }
    return false;
  }
  bool is_in_flight(std::size_t placed, std::uint64_t now) const { return (*calls_)[placed].ended >= now; }

  /// How far back the order of the pushes matters: to the oldest that is in, and to the one whose pop
  /// makes room.
  key key_of(const state& at) const {
    std::size_t from = at.popped;
    if (capacity_ != 0) from = waits_ ? 0 : std::min(from, at.pushed > capacity_ ? at.pushed - capacity_ : 0);
    key k{at.placed, {}};
    bool is_known = false;  // the oldest of those that nobody pops
    std::transform(
        at.pushes.data() + from, at.pushes.data() + at.pushed, k.recent.data(),
        [&](std::uint8_t i) { return popper_of_[i] == none && std::exchange(is_known, true) ? none : i; });
    return k;
  }

  const history* calls_ = nullptr;
  std::size_t capacity_ = 0;
  bool waits_ = false;  // any of them
  std::vector<std::uint8_t> pusher_of_, popper_of_;
  std::vector<std::uint32_t> before_;  // the pushes that have to be placed before this one
  std::unordered_set<key, hash> seen_;
};

/// For a human who looks for the fault.
inline std::string describe(const history& calls) {
  std::uint64_t start = ~std::uint64_t{0};
  for (const call& c : calls) start = std::min(start, c.began);
  std::string text;
  for (const call& c : calls) {
    text += c.what == kind::push ? "push" : c.what == kind::pop ? "pop" : "close";
    if (c.said == answer::ok && c.what != kind::close) text += ' ' + std::to_string(c.value);
    text += c.said == answer::ok ? " ok" : c.said == answer::refused ? " refused" : " closed";
    text += " from " + std::to_string(c.began - start) + " to " + std::to_string(c.ended - start);
    text += c.follows ? ", same call\n" : "\n";
  }
  return text;
}

}  // namespace support::wgl
