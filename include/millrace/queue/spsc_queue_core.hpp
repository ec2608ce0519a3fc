// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/biased_lock.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/lockfree/claim.hpp>
#include <millrace/lockfree/spsc_core.hpp>
#include <millrace/queue/message_source.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/queue/queue_stats.hpp>
#include <millrace/queue/steps.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/waiter.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace::detail {

/// A ring for one producer and one consumer that can be waited for: what spsc_queue does, without its
/// interface.
///
/// Threads     one at a time pushes (push_fast, push, park_push, sees_room), one at a time pops (pop_fast,
///             pop_run, pop, park_pop); any calls the others. A waiter that is listed is no call.
/// Progress    while nobody waits and the queue is open, the ring's, and two plain stores. Else a spin lock,
///             under which messages move, too.
template <class T, class Traits>
class spsc_queue_core : public core_options<T> {
  // lock_ guards the ring, the lists and reason_. It is biased to the producer and the consumer: inside, each
  // uses its side of the ring as it is. Who goes to sleep, or closes the queue, locks it, and with that
  // revokes the bias; so do the producer and the consumer while it is revoked. Its marks:
  //
  //   waiting  a popper or a pusher may be listed
  //   closed
  //
  // Under the lock(), nobody is inside, so the ring stands still:
  //
  //   I1  a popper is listed only while the ring is empty: a push takes one before it looks at the ring, and
  //       hands its message to him.
  //   I2  a pusher is listed only while the ring is full: a pop that makes room fills it with the message of
  //       the first one. So the consumer may use the producer's side of the ring then: who sleeps does
  //       not push; and who pushes beside him finds the lock revoked.
  //   I3  closed is said once, by the unlock that ends close(), and both lists are emptied before. Nothing
  //       is listed in them, or goes into the ring, after that.
  //   I4  the drainers are taken by the close of an empty queue, or by the pop of the last message of a closed
  //       one. They are listed beside the owners: they do not want the ring.
  //
  // Who may destroy what, and when: as in bounded_core. The last touch of a push or a pop, before it wakes
  // somebody, is that it leaves, or unlocks: the destructor excludes both by lock().
  //
  // The edges are biased_lock's and spsc_core's.

 public:
  using value_type = T;
  using traits = Traits;

  explicit spsc_queue_core(std::size_t capacity, const queue_options<T>& options = {})
      : core_options<T>(checked(options)), ring_(capacity), lock_(ring_.at_producer(), ring_.at_consumer()) {}

  ~spsc_queue_core() {
    close(nullptr);
    work_list never_drained;
    for (backoff<Traits> pause;; pause()) {
      const unsigned marks = lock_.lock();
      drainers_.take_all(never_drained);
      const bool all_gone = poppers_.empty() && pushers_.empty() && drainers_.empty();
      lock_.unlock(marks);
      if (all_gone) break;
    }
    assert(!lock_.is_used() && "millrace: a queue was destroyed during a call on it");
    wake_all<Traits>(never_drained,
                     [](waiter<Traits>& w) { *static_cast<op_status*>(w.place) = op_status::closed; });
    if (!this->loses()) return;
    while (take([this](T&& left) noexcept { this->lose(std::move(left)); }) == claim::done) {
    }
  }

  std::size_t capacity() const noexcept { return ring_.capacity(); }
  std::size_t size_approx() const noexcept { return ring_.size_approx(); }
  bool is_closed() const noexcept { return (lock_.marks() & closed) != 0; }

  std::exception_ptr close_reason() const noexcept { return is_closed() ? reason_ : std::exception_ptr{}; }

  /// For the producer, as a push.
  bool sees_room() noexcept {
    const side here(lock_, ring_.at_producer());
    if (here) return ring_.sees_room();
    return !ring_.was_full();
  }

  queue_stats stats() const noexcept {
    const std::uint64_t popped = ring_.popped();
    const std::uint64_t pushed = ring_.pushed();  // maybe not the news that came with popped
    return {this->options_.name, pushed < popped ? popped : pushed, popped, size_approx(), capacity(),
            is_closed()};
  }

  /// False: look closer. Wakes nobody.
  template <class Source>
  MILLRACE_ALWAYS_INLINE bool push_fast(const Source& source) noexcept {
    const claim how = push_inside(source);
    return how == claim::flagged ? push_alone(source) : how == claim::done;
  }
  MILLRACE_ALWAYS_INLINE bool pop_fast(pop_result<T>& out) noexcept {
    const claim how = pop_inside(out);
    return how == claim::flagged ? pop_alone(out) : how == claim::done;
  }

  /// Takes what is there of the next n, where nobody waits: how many.
  template <class Out>
  std::size_t pop_run(Out out, std::size_t n) noexcept {
    const side here(lock_, ring_.at_consumer());
    return here ? ring_.try_take_n(std::move(out), n) : 0;
  }

  /// Pushes the source's message, or hands it to a popper; where the queue is full, and is not to wait then,
  /// says so. False: it is `full`.
  template <class Source, class Displaced>
  MILLRACE_NOINLINE bool push(const Source& source, op_status& status, Displaced&&) noexcept {
    claim how = push_inside(source);
    if (how == claim::flagged && !is_closed() && ring_.was_full()) how = claim::blocked;
    if (how == claim::flagged) {
      waiter<Traits>* popper = nullptr;
      {
        const turn now(*this);
        if ((now.marks & closed) != 0) {
          status = op_status::closed;
          return true;
        }
        popper = poppers_.take();  // I1
        if (popper == nullptr) how = put(source);
      }
      if (popper != nullptr) {
        auto* const out = static_cast<pop_result<T>*>(popper->place);
        source([out](auto&&... args) noexcept { out->deliver(std::forward<decltype(args)>(args)...); });
        this->observe(**out);
        status = op_status::ok;
        wake(*popper);  // *this may be gone from here on
        return true;
      }
    }
    if (how == claim::done) {
      status = op_status::ok;
      return true;
    }
    status = op_status::full;
    return this->options_.overflow == overflow_policy::reject;
  }

  /// Lists a push, whose place is a push_slot, where the ring is full. False: it is not, or was not, or a push
  /// is not to wait for that.
  MILLRACE_NOINLINE bool park_push(waiter<Traits>& w) noexcept {
    if (this->options_.overflow != overflow_policy::wait || !ring_.was_full()) return false;
    const turn now(*this);
    if ((now.marks & closed) != 0 || ring_.sees_room()) return false;
    pushers_.push_back(w);  // I2
    return true;            // w may be gone from here on, and the queue with it
  }

  /// Takes the oldest message, or says `closed`. False: it is `empty`.
  MILLRACE_NOINLINE bool pop(pop_result<T>& out) noexcept {
    const bool is_over = is_closed();  // first: so we see what came before that
    claim how = pop_inside(out);
    if (how == claim::done) return true;
    if (how == claim::blocked || !ring_.sees_message()) {
      out.refuse(is_over ? op_status::closed : op_status::empty);
      return is_over;
    }
    waiter<Traits>* pusher = nullptr;
    work_list done;
    {
      const turn now(*this);
      take(out);
      pusher = pushers_.take();
      if (pusher != nullptr) put(source_of(*slot_of(*pusher).message));             // I2
      if ((now.marks & closed) != 0 && ring_.is_empty()) drainers_.take_all(done);  // I4
    }
    if (pusher != nullptr) {
      slot_of(*pusher).status = op_status::ok;
      wake(*pusher);  // *this may be gone from here on
    }
    wake_all<Traits>(done, [](waiter<Traits>&) {});  // and here
    return true;
  }

  /// Lists a pop, whose place is a pop_result, where the ring is empty. False: it is not, or was not.
  MILLRACE_NOINLINE bool park_pop(waiter<Traits>& w) noexcept {
    if (ring_.sees_message()) return false;
    const turn now(*this);
    if ((now.marks & closed) != 0 || !ring_.is_empty()) return false;
    poppers_.push_back(w);  // I1
    return true;            // w may be gone from here on, and the queue with it
  }

  /// Whether the queue is closed and empty.
  bool is_drained() const noexcept { return is_closed() && ring_.is_empty(); }  // I3: the tail stands

  /// Lists a drained(), whose place is an op_status. False: the queue is drained.
  MILLRACE_NOINLINE bool park_drained(waiter<Traits>& w) noexcept {
    const unsigned marks = lock_.lock_beside();
    const bool is_over = (marks & closed) != 0 && ring_.is_empty();
    if (!is_over) drainers_.push_back(w);  // I4
    lock_.unlock_beside(marks);
    return !is_over;
  }

  /// True for the call that closed it.
  bool close(std::exception_ptr reason) noexcept {
    const unsigned marks = lock_.lock();
    if ((marks & closed) != 0) {
      lock_.unlock(marks);
      return false;
    }
    reason_ = std::move(reason);
    work_list woken;
    work_list handed_back;
    work_list done;
    poppers_.take_all(woken);
    pushers_.take_all(handed_back);
    if (ring_.is_empty()) drainers_.take_all(done);  // I4
    lock_.unlock(closed);                            // *this may be gone from here on

    wake_all<Traits>(
        woken, [](waiter<Traits>& w) { static_cast<pop_result<T>*>(w.place)->refuse(op_status::closed); });
    wake_all<Traits>(handed_back, [](waiter<Traits>& w) { slot_of(w).status = op_status::closed; });
    wake_all<Traits>(done, [](waiter<Traits>&) {});
    return true;
  }

  /// Takes a parked waiter back; false: somebody else has taken it. For a waiter that its caller has won,
  /// or that nobody completes at the same time.
  bool withdraw_pop(waiter<Traits>& w) noexcept { return withdraw(poppers_, w); }
  bool withdraw_push(waiter<Traits>& w) noexcept { return withdraw(pushers_, w); }
  bool withdraw_drained(waiter<Traits>& w) noexcept { return withdraw(drainers_, w); }

 private:
  using lock = biased_lock<Traits>;
  using owner = typename lock::owner;

  static constexpr unsigned waiting = lock::a_mark;
  static constexpr unsigned closed = lock::a_mark << 1;

  /// What an owner does inside. False: it did not get in.
  class [[nodiscard]] side {
   public:
    MILLRACE_ALWAYS_INLINE side(lock& at, owner& self) noexcept
        : at_(at), self_(self), entered_(at.enter(self)) {}
    side(const side&) = delete;
    side& operator=(const side&) = delete;
    MILLRACE_ALWAYS_INLINE ~side() {
      if (entered_) at_.leave(self_);
    }
    explicit operator bool() const noexcept { return entered_; }

   private:
    lock& at_;
    owner& self_;
    const bool entered_;
  };

  /// What the producer or the consumer does under the lock().
  class [[nodiscard]] turn {
   public:
    explicit turn(spsc_queue_core& of) noexcept : marks(of.lock_.lock()), of_(of) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() { of_.lock_.unlock((marks & closed) | of_.is_waiting()); }

    const unsigned marks;

   private:
    spsc_queue_core& of_;
  };

  /// The mark.
  unsigned is_waiting() const noexcept { return poppers_.empty() && pushers_.empty() ? 0 : waiting; }

  static push_slot<T>& slot_of(waiter<Traits>& pusher) noexcept {
    return *static_cast<push_slot<T>*>(pusher.place);
  }

  static const queue_options<T>& checked(const queue_options<T>& options) {
    if (options.overflow == overflow_policy::displace_oldest) {
      throw std::invalid_argument(
          "millrace: the producer of an spsc_queue may not pop, so it cannot displace the oldest message: "
          "use bounded_queue, or overflow_policy::reject");
    }
    return options;
  }

  template <class Source>
  MILLRACE_ALWAYS_INLINE claim put(const Source& source) noexcept {
    return source(put_into{ring_});
  }
  template <class Sink>
    requires std::is_nothrow_invocable_v<Sink&, T&&>
  MILLRACE_ALWAYS_INLINE claim take(Sink&& sink) noexcept {
    return ring_.try_take(std::forward<Sink>(sink));
  }
  MILLRACE_ALWAYS_INLINE claim take(pop_result<T>& out) noexcept {
    return take([&out](T&& message) noexcept { out.deliver(std::move(message)); });
  }

  template <class Source>
  MILLRACE_ALWAYS_INLINE claim push_inside(const Source& source) noexcept {
    const side here(lock_, ring_.at_producer());
    return here ? put(source) : claim::flagged;
  }
  MILLRACE_ALWAYS_INLINE claim pop_inside(pop_result<T>& out) noexcept {
    const side here(lock_, ring_.at_consumer());
    return here ? take(out) : claim::flagged;
  }

  /// What push_fast() and pop_fast() do under the lock, where that ends nobody's sleep.
  template <class Source>
  MILLRACE_NOINLINE bool push_alone(const Source& source) noexcept {
    if (lock_.marks() != 0 || ring_.was_full()) return false;
    const turn now(*this);
    return now.marks == 0 && put(source) == claim::done;
  }
  MILLRACE_NOINLINE bool pop_alone(pop_result<T>& out) noexcept {
    if ((lock_.marks() & waiting) != 0 || !ring_.sees_message()) return false;
    const turn now(*this);
    if ((now.marks & waiting) != 0 || ((now.marks & closed) != 0 && !drainers_.empty())) return false;
    return take(out) == claim::done;
  }

  bool withdraw(waiter_list<Traits>& list, waiter<Traits>& w) noexcept {
    if (!w.is_listed()) return false;
    const unsigned marks = lock_.lock_beside();
    const bool ours = w.is_listed();
    if (ours) list.remove(w);
    lock_.unlock_beside((marks & closed) | is_waiting());
    return ours;
  }

  spsc_core<T, Traits, owner> ring_;
  lock lock_;
  waiter_list<Traits> poppers_;
  waiter_list<Traits> pushers_;
  waiter_list<Traits> drainers_;
  std::exception_ptr reason_;
};

}  // namespace millrace::detail
