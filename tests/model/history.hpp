// SPDX-License-Identifier: BSL-1.0
#pragma once

// For scenarios that are written down as scripts: what each thread calls, and a judge of what came of it.

#include <cstring>

#include <support/model.hpp>

#include <millrace/wait/op_status.hpp>

namespace millrace::model {

/// What the calls of one schedule did to a bounded queue, and whether some order of them explains it.
/// As support/wgl.hpp, but for a memory that is weaker than time, without memory of its own, and with
/// drained().
class history {
 public:
  enum kind : unsigned char { nothing, push, pop, close, drained };

  /// The number of the call that now begins; one that `follows` takes effect after the one before.
  int begin(bool follows = false) {
    RL_ASSERT(count_ < most);
    call& c = calls_[count_];
    c.follows = follows;
    c.thread = rl::ctx().current_thread();
    c.began = ++time_;
    std::copy_n(rl::ctx().threadx_->acq_rel_order_, rl::ctx().get_thread_count(), c.saw);
    return count_++;
  }

  /// It has returned, or done all that matters: the first time counts.
  void end(int number) {
    call& c = calls_[number];
    if (c.ended != 0) return;
    c.ended = ++time_;
    c.done = rl::ctx().threadx_->own_acq_rel_order_;
  }
  /// What it said (close: `empty` where it did not), and the id of the message that moved.
  void tell(int number, kind what, op_status said, int id = -1) {
    call& c = calls_[number];
    c.what = what;
    c.said = said;
    c.id = id;
  }

  /// Each call takes effect at one moment between its begin and its end, those of one thread one after
  /// the other, so that
  ///   push ok       there is room, and it is open         push closed   it is closed
  ///   push full     there is none; or the pop of the message `capacity` places ahead is in flight
  ///   pop ok        it is the oldest                      pop closed    none is there, and it is closed
  ///   pop empty     none is there, and it is open; or the push of the oldest is in flight
  ///   drained ok    none is there, and it is closed       close ok      it is open
  /// But full and empty may be said for lack of news: for them, in flight is what does not happen-before, and
  /// closed what was before that.
  /// At capacity 0, a push takes effect right before its pop, and there is neither room nor a message for
  /// anybody else.
  void check(std::size_t capacity) {
    capacity_ = static_cast<int>(capacity);
    RL_ASSERT(explain(state{}));
  }

 private:
  static constexpr int most = 20;

  struct call {
    kind what = nothing;
    op_status said = op_status::ok;
    int id;
    bool follows;
    int thread;
    int began;
    int ended = 0;
    rl::timestamp_t saw[most_threads];  // how much of each thread happens-before it
    rl::timestamp_t done;               // and how much of its thread it happens after
  };

  struct state {
    unsigned placed = 0;
    int pushed = 0;
    int popped = 0;
    bool closed = false;
    signed char closer = 0;    // if it is closed
    signed char pushes[most];  // which call was the n-th push that is in
    signed char pops[most];    // and the n-th pop
  };

  static bool refused(const call& c) {
    return c.said == op_status::full || (c.what == pop && c.said == op_status::empty);
  }
  static bool happens_before(const call& a, const call& b) { return b.saw[a.thread] >= a.done; }

  bool explain(const state& at) const {
    if (at.placed == (1u << count_) - 1) return true;
    for (int i = 0; i < count_; ++i) {
      if (!may_come_next(at, i)) continue;
      state next = at;
      if (take_effect(next, i) && explain(next)) return true;
    }
    return false;
  }

  bool may_come_next(const state& at, int i) const {
    if ((at.placed >> i & 1) != 0) return false;
    for (int j = 0; j < count_; ++j) {
      if ((at.placed >> j & 1) == 0 && precedes(j, i)) return false;
    }
    return true;
  }

  bool precedes(int j, int i) const {
    const call& a = calls_[j];
    const call& b = calls_[i];
    if (b.follows && j == i - 1) return true;
    return a.thread != b.thread && (refused(a) || refused(b)) ? happens_before(a, b) : a.ended < b.began;
  }

  bool take_effect(state& at, int i) const {
    const call& c = calls_[i];
    const int size = at.pushed - at.popped;
    at.placed |= 1u << i;
    if (capacity_ == 0 && size != 0 && (c.what != pop || c.said != op_status::ok)) return false;
    switch (c.what) {
      case nothing:
        return true;
      case push:
        if (c.said == op_status::closed) return at.closed;
        if (at.closed) return false;
        if (c.said == op_status::full) {
          return size == capacity_ ||
                 (at.pushed >= capacity_ && !happens_before(calls_[at.pops[at.pushed - capacity_]], c));
        }
        if (size == (capacity_ == 0 ? 1 : capacity_)) return false;
        at.pushes[at.pushed++] = static_cast<signed char>(i);
        return true;
      case pop:
        if (c.said == op_status::ok) {
          if (size == 0 || calls_[at.pushes[at.popped]].id != c.id) return false;
          at.pops[at.popped++] = static_cast<signed char>(i);
          return true;
        }
        if (c.said == op_status::closed) return at.closed && size == 0;
        if (size != 0) return !happens_before(calls_[at.pushes[at.popped]], c);
        return !at.closed || !happens_before(calls_[at.closer], c);
      case close:
        if (c.said != op_status::empty && at.closed != (c.said == op_status::closed)) return false;
        if (!at.closed) at.closer = static_cast<signed char>(i);
        at.closed = true;
        return true;
      case drained:
        return at.closed && size == 0;
    }
    return false;
  }

  call calls_[most];
  int count_ = 0;
  int time_ = 0;
  int capacity_ = 0;
};

/// The calls of each thread, as in "push push | try_pop | close".
template <class Call, int Threads>
class script {
 public:
  static constexpr int most = 4;

  script() = default;
  /// `words` are the names of Call{0}, Call{1}, ...
  template <std::size_t N>
  script(const char* text, const char* const (&words)[N]) {
    for (int thread = 0; *text != '\0';) {
      const std::size_t length = std::strcspn(text, " |");
      if (length == 0) {
        thread += *text++ == '|';
        continue;
      }
      std::size_t i = 0;
      while (i < N && (std::strncmp(words[i], text, length) != 0 || words[i][length] != '\0')) ++i;
      if (i == N || thread >= Threads || count_[thread] == most) std::abort();
      calls_[thread][count_[thread]++] = static_cast<Call>(i);
      text += length;
    }
  }

  /// Calls f(call, n): it is the n-th of the whole script.
  template <class F>
  void run(unsigned thread, F f) const {
    int n = static_cast<int>(thread) * most;
    for (int i = 0; i < count_[thread]; ++i) f(calls_[thread][i], n + i);
  }

 private:
  Call calls_[Threads][most] = {};
  int count_[Threads] = {};
};

}  // namespace millrace::model
