// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/history.hpp"

namespace support {

enum class fifo_fault : std::uint8_t {
  none,
  fresh,     ///< a value came out that was never pushed, or before its push had begun
  repeated,  ///< a value came out twice
  order,     ///< no order of the messages fits all pushes and pops
  empty,     ///< a pop found the queue empty, which it never was while the pop went on
  full,      ///< a push found the queue full, which it never was while the push went on
  overflow,  ///< more messages were in the queue than its capacity
};

struct fifo_verdict {
  fifo_fault fault = fifo_fault::none;
  std::string details;
  std::size_t left = 0;         ///< messages that were pushed and not popped
  std::size_t overlapping = 0;  ///< calls that began while others were in flight
};

/// Judges whether a recorded history of pushes and pops is that of a linearizable FIFO queue. It has
/// to be complete: it starts with an empty queue, every call has returned, and its n pushed values
/// are `first` to `first + n - 1`, each pushed once.
///
/// Complexity  the merge of the threads' stamps, then linear in messages and calls (times the number of
///             pushes that overlap).
/// Source      T. Henzinger, A. Sezgin, V. Vafeiadis, "Aspect-oriented linearizability proofs" (2013):
///             a history with unique values is linearizable unless it shows one of four faults, each of
///             which can be looked for by itself.
///
/// What succeeded is judged exactly. A bulk call is one interval for all of its messages, which went in
/// and came out in their order; it need not be atomic. `order` is more than a look at pairs: an order of
/// the messages is built, so none that exists is missed, and none is found that does not exist.
///
/// What was refused is judged by what our queues document (each moment is one between two stamps):
///
///   empty  is right if at some moment of the call no message is certainly in (its push has ended, its pop
///          has not begun), or a push is in flight that may be ahead of all that are certainly in: it had
///          begun before the push of the first of them ended, and its message may be there yet. This
///          is the answer "empty, or the push of the oldest message is in flight".
///          With a single producer no push that is in flight can be ahead of one that ended, so there
///          this is the strict answer: the queue was empty.
///   full   is right if at some moment of the call some message's pop has not ended, and `capacity` messages
///          or more, itself included, may have been pushed since it was. This is the answer "full,
///          or the pop that is to make room is in flight". With a single producer and no bulk push the
///          number is exact.
///
/// Both accept a little more than the exact rule where pushes overlap; wgl.hpp judges exactly, on small
/// histories.
class fifo_checker {
 public:
  /// Capacity 0: unbounded, so `full` is never right.
  fifo_verdict check(const history& logs, std::size_t capacity, std::uint32_t first = 0) {
    first_ = first;
    capacity_ = capacity;
    verdict_ = {};
    if (admit(logs) && sweep(logs)) find_order();
    for (const message& m : messages_) verdict_.left += m.popped_by == none;
    return verdict_;
  }

 private:
  // Moments: the number of stamps up to it, in the order of all stamps (of equal ones, first those
  // at which a call begins). 0 is before all of them.
  using moment = std::uint32_t;
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr moment never = none;

  struct call {
    const std::uint32_t* values;
    std::uint32_t count;
    std::uint32_t alive;  // of a push: its messages whose pop has not ended
    moment began;
    recorded::kind what;
    bool refused;
  };
  struct message {
    std::uint32_t pushed_by = none;
    std::uint32_t popped_by = none;
    std::uint32_t next_pushed = none;  // in the same call
    std::uint32_t next_popped = none;
    std::uint32_t ahead = 0;  // pushes that had ended when its push began
    std::uint32_t unmet = 2;  // what has to come before it can come next in the order
    moment push_began = never;
    moment push_ended = never;
    moment pop_began = never;
    moment pop_ended = never;
    bool out = false;
  };

  bool fault(fifo_fault what, std::string details) {
    verdict_.fault = what;
    verdict_.details = std::move(details);
    return false;
  }
  std::string name(std::uint32_t index) const {
    const message& m = messages_[index];
    const auto moment_name = [](moment at) {
      return at == never ? std::string("never") : std::to_string(at);
    };
    return "value " + std::to_string(index + first_) + " (push " + moment_name(m.push_began) + " to " +
           moment_name(m.push_ended) + ", pop " + moment_name(m.pop_began) + " to " +
           moment_name(m.pop_ended) + ")";
  }

  /// Notes which call pushed and popped each message.
  bool admit(const history& logs) {
    std::size_t calls = 0;
    std::size_t pushed = 0;
    for (const history_log& log : logs) {
      calls += log.calls().size();
      for (const recorded& r : log.calls()) pushed += r.what == recorded::push ? r.count : 0;
    }
    messages_.assign(pushed, {});
    calls_.clear();
    calls_.reserve(calls);
    for (const history_log& log : logs) {
      for (const recorded& r : log.calls()) {
        const auto id = static_cast<std::uint32_t>(calls_.size());
        calls_.push_back({log.values_of(r), r.count, r.count, 0, r.what, r.refused});
        if (r.what == recorded::pop) continue;
        std::uint32_t before = none;
        for (std::uint32_t i = 0; i < r.count; ++i) {
          const std::uint32_t index = calls_.back().values[i] - first_;
          if (index >= pushed || messages_[index].pushed_by != none) {
            throw std::invalid_argument("the pushed values of a history are not first, first + 1, ...");
          }
          messages_[index].pushed_by = id;
          if (before != none) follow(messages_[before].next_pushed, index);
          before = index;
        }
      }
    }
    for (std::uint32_t id = 0; id < calls_.size(); ++id) {
      const call& c = calls_[id];
      if (c.what == recorded::push) continue;
      std::uint32_t before = none;
      for (std::uint32_t i = 0; i < c.count; ++i) {
        const std::uint32_t index = c.values[i] - first_;
        if (index >= pushed) {
          return fault(fifo_fault::fresh, "value " + std::to_string(c.values[i]) + " was never pushed");
        }
        if (messages_[index].popped_by != none) {
          return fault(fifo_fault::repeated, "value " + std::to_string(c.values[i]) + " came out twice");
        }
        messages_[index].popped_by = id;
        if (before != none) follow(messages_[before].next_popped, index);
        before = index;
      }
    }
    return true;
  }
  void follow(std::uint32_t& link, std::uint32_t index) {
    link = index;
    ++messages_[index].unmet;
  }

  /// Goes through the stamps of all threads in their order: assigns the moments, and judges all but
  /// the order.
  bool sweep(const history& logs) {
    for (auto* list : {&push_begins_, &push_ends_, &pop_begins_, &pop_ends_, &in_flight_}) list->clear();
    oldest_certain_ = oldest_possible_ = 0;
    begun_ = certain_ = open_ = 0;
    not_empty_since_ = not_full_since_ = 0;

    struct cursor {
      const recorded* at;
      const recorded* end;
      std::uint32_t id;
      bool ends;
      std::uint64_t time;
      void look() { time = ends ? at->ended : at->began; }
    };
    std::vector<cursor> cursors;
    std::uint32_t id = 0;
    for (const history_log& log : logs) {
      const auto& all = log.calls();
      if (!all.empty()) cursors.push_back({all.data(), all.data() + all.size(), id, false, all[0].began});
      id += static_cast<std::uint32_t>(all.size());
    }
    for (moment now = 1; !cursors.empty(); ++now) {
      cursor* next = cursors.data();
      for (cursor& c : cursors) {
        if (c.time < next->time || (c.time == next->time && c.ends < next->ends)) next = &c;
      }
      call& c = calls_[next->id];
      if (!next->ends) {
        begin(c, now);
      } else if (!end(c, now)) {
        return false;
      }
      look_around(now);
      if (next->ends) {
        ++next->id;
        if (++next->at == next->end) {
          *next = cursors.back();
          cursors.pop_back();
          continue;
        }
      }
      next->ends = !next->ends;
      next->look();
    }
    for (std::uint32_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].popped_by == none) {
        pop_begins_.push_back(i);
        pop_ends_.push_back(i);
      }
    }
    return true;
  }

  void begin(call& c, moment now) {
    c.began = now;
    verdict_.overlapping += open_++ != 0;
    if (c.count == 0) return;
    for (std::uint32_t i = 0; i < c.count; ++i) {
      const std::uint32_t index = c.values[i] - first_;
      message& m = messages_[index];
      if (c.what == recorded::push) {
        m.push_began = now;
        m.ahead = static_cast<std::uint32_t>(push_ends_.size());
        push_begins_.push_back(index);
      } else {
        m.pop_began = now;
        certain_ -= m.push_ended != never;
        pop_begins_.push_back(index);
      }
    }
    if (c.what == recorded::push) {
      begun_ += c.count;
      in_flight_.push_back(static_cast<std::uint32_t>(&c - calls_.data()));
    }
  }

  bool end(call& c, moment now) {
    --open_;
    if (c.refused && c.what == recorded::push && not_full_since_ <= c.began) {
      return fault(fifo_fault::full,
                   "the push from " + std::to_string(c.began) + " to " + std::to_string(now));
    }
    if (c.refused && c.what == recorded::pop && not_empty_since_ <= c.began) {
      return fault(fifo_fault::empty, "the pop from " + std::to_string(c.began) + " to " +
                                          std::to_string(now) + " although there was " +
                                          name(push_ends_[oldest_certain_]));
    }
    if (c.count == 0) return true;
    for (std::uint32_t i = 0; i < c.count; ++i) {
      const std::uint32_t index = c.values[i] - first_;
      message& m = messages_[index];
      if (c.what == recorded::push) {
        m.push_ended = now;
        certain_ += m.pop_began == never;
        push_ends_.push_back(index);
      } else {
        m.pop_ended = now;
        if (m.push_began == never) {
          return fault(fifo_fault::fresh,
                       "value " + std::to_string(c.values[i]) + " came out before its push");
        }
        --calls_[m.pushed_by].alive;
        pop_ends_.push_back(index);
      }
    }
    if (c.what == recorded::push) {
      in_flight_.erase(
          std::find(in_flight_.begin(), in_flight_.end(), static_cast<std::uint32_t>(&c - calls_.data())));
      if (capacity_ != 0 && certain_ > capacity_) {
        return fault(fifo_fault::overflow, std::to_string(certain_) +
                                               " were in at the end of the push from " +
                                               std::to_string(c.began) + " to " + std::to_string(now));
      }
    }
    return true;
  }

  /// Whether `empty` and `full` are right just after the stamp `now`. not_..._since_ is the first moment from
  /// which on they have been wrong.
  void look_around(moment now) {
    while (oldest_certain_ < push_ends_.size() && messages_[push_ends_[oldest_certain_]].pop_began != never) {
      ++oldest_certain_;
    }
    bool empty = oldest_certain_ == push_ends_.size();
    if (!empty) {
      const moment ended = messages_[push_ends_[oldest_certain_]].push_ended;
      for (const std::uint32_t id : in_flight_) empty |= calls_[id].alive != 0 && calls_[id].began < ended;
    }
    if (empty) not_empty_since_ = now + 1;

    while (oldest_possible_ < push_begins_.size() &&
           messages_[push_begins_[oldest_possible_]].pop_ended != never) {
      ++oldest_possible_;
    }
    const bool full = capacity_ != 0 && oldest_possible_ < push_begins_.size() &&
                      begun_ - messages_[push_begins_[oldest_possible_]].ahead >= capacity_;
    if (full) not_full_since_ = now + 1;
  }

  /// Takes the messages out in an order that fits: a message may come next if among those left there is
  /// none whose push ended before its own began, none whose pop did so, and none that stands before
  /// it in its bulk calls.
  bool find_order() {
    const std::size_t n = messages_.size();
    ready_.clear();
    const auto met = [this](std::uint32_t index) {
      if (--messages_[index].unmet == 0) ready_.push_back(index);
    };
    struct side {
      const std::vector<std::uint32_t>& begins;
      const std::vector<std::uint32_t>& ends;
      moment message::* began;
      moment message::* ended;
      std::size_t begin = 0;
      std::size_t end = 0;
    };
    side sides[] = {{push_begins_, push_ends_, &message::push_began, &message::push_ended},
                    {pop_begins_, pop_ends_, &message::pop_began, &message::pop_ended}};
    for (std::size_t out = 0; out < n; ++out) {
      for (side& s : sides) {
        while (messages_[s.ends[s.end]].out) ++s.end;
        const moment limit = messages_[s.ends[s.end]].*s.ended;
        while (s.begin < n && messages_[s.begins[s.begin]].*s.began <= limit) met(s.begins[s.begin++]);
      }
      if (ready_.empty()) {
        return fault(fifo_fault::order,
                     name(push_ends_[sides[0].end]) + " does not fit " + name(pop_ends_[sides[1].end]));
      }
      message& m = messages_[ready_.back()];
      ready_.pop_back();
      m.out = true;
      if (m.next_pushed != none) met(m.next_pushed);
      if (m.next_popped != none) met(m.next_popped);
    }
    return true;
  }

  std::uint32_t first_ = 0;
  std::size_t capacity_ = 0;
  fifo_verdict verdict_;
  std::vector<call> calls_;
  std::vector<message> messages_;
  // Messages in the order of these stamps; those that were never popped come last in the latter two.
  std::vector<std::uint32_t> push_begins_, push_ends_, pop_begins_, pop_ends_;
  std::vector<std::uint32_t> in_flight_;  // pushes, in the order in which they began
  std::vector<std::uint32_t> ready_;
  std::size_t oldest_certain_ = 0;   // in push_ends_: the first whose pop has not begun
  std::size_t oldest_possible_ = 0;  // in push_begins_: the first whose pop has not ended
  std::size_t begun_ = 0;            // messages whose push has begun
  std::size_t certain_ = 0;          // messages whose push has ended and whose pop has not begun
  std::size_t open_ = 0;             // calls in flight
  moment not_empty_since_ = 0;
  moment not_full_since_ = 0;
};

}  // namespace support
