// SPDX-License-Identifier: BSL-1.0

// bounded_queue, used by one thread, against a model that knows who waits. The first two bytes choose
// messages and capacity; each byte after them is an operation, some with an operand.

#include <algorithm>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>

#include "fuzz/fuzz.hpp"

namespace {

using fuzz::bytes;
using fuzz::check;
using fuzz::make;
using fuzz::moved_from;
using fuzz::number;
using millrace::bounded_queue;
using millrace::op_status;

/// Tickets that wrap within a few laps.
struct tiny_tickets : millrace::default_traits {
  using ticket = std::uint16_t;
  static constexpr ticket first_ticket = 4000;
};

/// A coroutine whose frame may be destroyed while it waits.
struct frame {
  struct promise_type {
    frame get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

constexpr int nothing = -1;

/// How an operation ended, and which message it brought, or brought back.
struct ending {
  bool over = false;
  op_status status = op_status::ok;
  int message = nothing;
  bool operator==(const ending&) const = default;
};

/// An operation that may have to wait.
template <class T>
struct call {
  int pushed = nothing;
  ending seen;
  ending expected;
  std::coroutine_handle<> waiter{};  // null: a callback
  std::optional<T> from{};           // push_from

  void end(millrace::pop_result<T>&& m) { see(m.status(), m ? number(*m) : nothing); }
  void end(millrace::push_result<T>&& r) { see(r.status(), r.returned() ? number(r.value()) : nothing); }
  void end(op_status status) {
    const bool kept = from && status != op_status::ok;
    check(!from || number(*from) == (kept ? pushed : moved_from<T>(pushed)), "push_from moves only if ok");
    see(status, kept ? pushed : nothing);
  }

 private:
  void see(op_status status, int message) {
    check(!seen.over, "an operation ends once");
    seen = {true, status, message};
  }
};

template <class Queue, class T>
frame pop(Queue& q, call<T>& mine) {
  auto result = co_await q.pop();
  mine.end(std::move(result));
}
template <class Queue, class T>
frame push(Queue& q, call<T>& mine) {
  auto message = make<T>(mine.pushed);
  auto result = co_await q.push(std::move(message));
  mine.end(std::move(result));
}
template <class Queue, class T>
frame push_from(Queue& q, call<T>& mine) {
  auto result = co_await q.push_from(*mine.from);
  mine.end(result);
}
template <class Queue, class T>
frame drained(Queue& q, call<T>& mine) {
  auto result = co_await q.drained();
  mine.end(result);
}

template <class Queue>
class run {
  using T = typename Queue::value_type;

  // g++ 12 does not align what stands in a coroutine's frame beyond what new does.
  static constexpr bool fits_a_frame = alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;

 public:
  explicit run(std::size_t capacity) : capacity_(capacity) { queue_.emplace(capacity); }
  run(const run&) = delete;
  run& operator=(const run&) = delete;

  /// The queue goes first; who still waits must end by that.
  ~run() {
    queue_.reset();
    close();
    for (call<T>* c : drainers_) c->expected = {true, op_status::closed, nothing};
    check_calls();
    for (call<T>& c : calls_) {
      if (c.waiter) c.waiter.destroy();
    }
  }

  void operation(bytes& in) {
    Queue& q = *queue_;
    switch (in.next() % 16) {
      case 0: return try_push();
      case 1: return try_push_copy();
      case 2: return try_emplace();
      case 3: return try_pop();
      case 4: return expect_pop(fits_a_frame ? start(pop<Queue, T>) : call_back(q.pop()));
      case 5: return expect_push(fits_a_frame ? start(push<Queue, T>) : call_back(q.push(make<T>(next_))));
      case 6: return expect_push(start(push_from<Queue, T>));
      case 7: return expect_drained(start(drained<Queue, T>));
      case 8: return expect_pop(call_back(q.pop()));
      case 9: return expect_push(call_back(q.push(make<T>(next_))));
      case 10: return expect_push(call_back(q.emplace(next_)));
      case 11: return expect_drained(call_back(q.drained()));
      case 12: return withdraw(in.next());
      case 13: return check(q.close() == close(), "close() is true for the call that closed");
      case 14: return close_with_reason();
      case 15: return close_and_drain(in.next());
    }
  }

  void check_state() {
    check_calls();
    check(queue_->size_approx() == buffer_.size(), "the size is exact");
    check(queue_->is_closed() == closed_, "closed is closed");
    check((queue_->close_reason() != nullptr) == has_reason_, "the reason is the closer's");
  }

 private:
  // What the queue does.

  call<T>& next_call(bool with_source = false) {
    call<T>& c = calls_.emplace_back();
    c.pushed = next_;
    if (with_source) c.from.emplace(make<T>(next_));
    return c;
  }

  call<T>& start(frame (*body)(Queue&, call<T>&)) {
    call<T>& c = next_call(body == push_from<Queue, T>);
    c.waiter = body(*queue_, c).handle;
    return c;
  }

  template <class Operation>
  call<T>& call_back(Operation&& op) {
    call<T>& c = next_call();
    std::move(op).start([&c](auto result) noexcept { c.end(std::move(result)); });
    return c;
  }

  void try_push() {
    T message = make<T>(next_);
    const op_status status = queue_->try_push(std::move(message));
    check(number(message) == (status == op_status::ok ? moved_from<T>(next_) : next_),
          "what is refused is untouched");
    check(status == enter(next_++), "try_push");
  }
  void try_push_copy() {
    if constexpr (std::copy_constructible<T>) {
      const T message = make<T>(next_);
      const op_status status = queue_->try_push(message);
      check(status == enter(next_++), "try_push of a copy");
    }
  }
  void try_emplace() {
    const op_status status = queue_->try_emplace(next_);
    check(status == enter(next_++), "try_emplace");
  }
  void try_pop() {
    auto message = queue_->try_pop();
    check_popped(message.status(), message ? number(*message) : nothing);
  }
  void check_popped(op_status status, int message) {
    const ending expected = leave();
    check(status == expected.status && message == expected.message, "try_pop");
  }

  void close_with_reason() {
    const bool first = queue_->close(std::make_exception_ptr(1));
    check(first == close(), "close(reason) is true for the call that closed");
    has_reason_ = has_reason_ || first;
  }

  /// Into an iterator that throws at its n-th assignment.
  struct limited {
    std::vector<T>* to;
    std::size_t n;
    limited& operator*() noexcept { return *this; }
    limited& operator++() noexcept { return *this; }
    limited& operator=(T&& message) {
      to->push_back(std::move(message));
      if (to->size() > n) throw 1;
      return *this;
    }
  };
  void close_and_drain(std::size_t n) {
    close();
    std::vector<T> rest;
    try {
      const std::size_t count = queue_->close_and_drain(limited{&rest, n});
      check(count == rest.size() && buffer_.size() == count, "close_and_drain brings all");
    } catch (int) {
      check(rest.size() == n + 1, "close_and_drain stops where its iterator throws");
    }
    for (const T& message : rest) check_popped(op_status::ok, number(message));
  }

  /// Destroys the frame of one that waits.
  void withdraw(std::size_t which) {
    std::vector<call<T>*> waiting;
    for (call<T>& c : calls_) {
      if (c.waiter && !c.seen.over) waiting.push_back(&c);
    }
    if (waiting.empty()) return;
    call<T>* const c = waiting[which % waiting.size()];
    c->waiter.destroy();
    c->waiter = nullptr;
    for (auto* list : {&pops_, &pushes_, &drainers_}) std::erase(*list, c);
  }

  // What it should do.

  static void end(call<T>& c, op_status status, int message = nothing) {
    c.expected = {true, status, message};
  }

  op_status enter(int n) {
    if (closed_) return op_status::closed;
    if (!pops_.empty()) {
      end(*pops_.front(), op_status::ok, n);
      pops_.pop_front();
      return op_status::ok;
    }
    if (buffer_.size() == capacity_) return op_status::full;
    buffer_.push_back(n);
    return op_status::ok;
  }

  ending leave() {
    if (buffer_.empty()) return {false, closed_ ? op_status::closed : op_status::empty, nothing};
    const int n = buffer_.front();
    buffer_.pop_front();
    if (!pushes_.empty()) {
      buffer_.push_back(pushes_.front()->pushed);
      end(*pushes_.front(), op_status::ok);
      pushes_.pop_front();
    }
    if (closed_ && buffer_.empty()) end_drainers();
    return {true, op_status::ok, n};
  }

  bool close() {
    if (closed_) return false;
    closed_ = true;
    for (call<T>* c : pops_) end(*c, op_status::closed);
    for (call<T>* c : pushes_) end(*c, op_status::closed, c->pushed);
    pops_.clear();
    pushes_.clear();
    if (buffer_.empty()) end_drainers();
    return true;
  }

  void end_drainers() {
    for (call<T>* c : drainers_) end(*c, op_status::ok);
    drainers_.clear();
  }

  void expect_pop(call<T>& c) {
    const ending e = leave();
    if (e.status == op_status::empty) {
      pops_.push_back(&c);
    } else {
      end(c, e.status, e.message);
    }
  }
  void expect_push(call<T>& c) {
    const op_status status = enter(next_++);
    if (status == op_status::full) {
      pushes_.push_back(&c);
    } else {
      end(c, status, status == op_status::ok ? nothing : c.pushed);
    }
  }
  void expect_drained(call<T>& c) {
    drainers_.push_back(&c);
    if (closed_ && buffer_.empty()) end_drainers();
  }

  void check_calls() const {
    for (const call<T>& c : calls_) check(c.seen == c.expected, "who waits is served, in order, as told");
  }

  std::optional<Queue> queue_;
  const std::size_t capacity_;
  int next_ = 0;

  std::deque<int> buffer_;
  bool closed_ = false;
  bool has_reason_ = false;
  std::deque<call<T>> calls_;
  std::deque<call<T>*> pops_;
  std::deque<call<T>*> pushes_;
  std::deque<call<T>*> drainers_;
};

template <class Queue>
void use(bytes& in) {
  run<Queue> one(1 + in.next() % 5);
  while (!in.empty()) {
    one.operation(in);
    one.check_state();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bytes in(data, size);
  switch (in.next() % 4) {
    case 0: use<bounded_queue<std::int64_t>>(in); break;
    case 1: use<bounded_queue<fuzz::move_only>>(in); break;
    case 2: use<bounded_queue<fuzz::over_aligned>>(in); break;
    case 3: use<bounded_queue<std::int64_t, tiny_tickets>>(in); break;
  }
  fuzz::check_nothing_left();
  return 0;
}
