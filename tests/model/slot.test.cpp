// SPDX-License-Identifier: BSL-1.0
//
// A chain of coroutines that a stop finds by its slot, under every schedule: a sleep ends once, by a delivery,
// a close, the end of the queue, a deadline or the stop; no stop is missed; and what has left, or was
// destroyed, is touched no more.

#include <support/model.hpp>

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/spsc_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/wait/stop_slot.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

struct asymmetric_traits : model_traits {
  using fence = asymmetric_fence;
};
struct symmetric_traits : model_traits {
  using fence = symmetric_fence;
};

/// A T whose memory is wiped, and left alone, once it is gone: who still calls what was there crashes.
template <class T>
class buried {
 public:
  template <class... Args>
  explicit buried(Args&&... args) {
    static_assert(sizeof(T) <= sizeof(grave));
    next = (next + 1) % graves;
    mine_ = ::new (static_cast<void*>(&yard[next])) T(std::forward<Args>(args)...);
  }
  buried(const buried&) = delete;
  buried& operator=(const buried&) = delete;
  ~buried() {
    mine_->~T();
    std::memset(static_cast<void*>(mine_), 0, sizeof(T));
  }
  T& operator*() { return *mine_; }

 private:
  struct grave {
    alignas(64) unsigned char bytes[1024];
  };
  static constexpr unsigned graves = 4;  // more than one run of a scenario needs
  static inline grave yard[graves];
  static inline unsigned next = 0;
  T* mine_;
};

/// Thread 0 is a chain; another one stops it.
template <class Queue, class Traits, bool Pushes, int Threads, class Derived>
struct with_chain : scenario<Derived, Threads> {
  static constexpr bool buffers = !std::is_same_v<Queue, rendezvous_queue<message, Traits>>;

  box<Queue, 0> a;
  box<basic_stop_source<Traits>> halt;
  box<detail::stop_slot<Traits>> slot;
  bool sleeps = false;
  bool is_timed = false;
  int in = 0;
  int out = 0;

  static void make(auto& queue) {
    if constexpr (std::is_constructible_v<Queue, unsigned>) {
      queue.make(1u);
    } else {
      queue.make();
    }
  }
  void before() {
    make(a);
    halt.make();
    slot.make();
    slot->attach(halt->token());
    if (Pushes && buffers) push(*a, 0);
  }
  void end_chain() {
    slot->detach();
    slot.destroy();
  }
  void after() {
    halt.destroy();
    RL_ASSERT(in == out);
    RL_ASSERT(message::alive == 0);
  }

  void push(Queue& to, int id) { in += to.try_push(message(id)) == op_status::ok; }
  void pop(Queue& from) { out += static_cast<bool>(from.try_pop()); }

  /// What an operation of the chain ends with.
  op_status one(Queue& queue) {
    if constexpr (Pushes) {
      auto r = wait(queue.push(message(7)));
      RL_ASSERT(r || r.value().id() == 7);
      in += static_cast<bool>(r);
      return r.status();
    } else {
      const pop_result<message> m = wait(queue.pop());
      out += static_cast<bool>(m);
      return m.status();
    }
  }
  template <class Operation>
  auto wait(Operation&& op) {
    auto step = detail::operation_access::take_step(std::move(op));
    using suspension_type = detail::suspension<decltype(step), basic_stop_token<Traits>, false>;
    buried<detail::thread_waiter<suspension_type, Traits>> sleeper(step);
    auto& w = *sleeper;
    typename suspension_type::rivals_type rivals{halt->token(), &*slot};
    if (is_timed) rivals.until = {};
    const bool must_block = w.sleep(rivals);
    sleeps = true;
    if (must_block) {
      if (is_timed) w.end(op_status::timeout);
      w.block();
      RL_ASSERT(!w.sleeps_on());
    }
    return step.take_result();
  }
};

enum class does { nothing, one, two, closes, destroys };

/// An operation on one queue, and then on another; thread 1 serves them, or ends the first.
template <class Queue, class Traits, bool Pushes, bool Timed>
struct chain : with_chain<Queue, Traits, Pushes, 3, chain<Queue, Traits, Pushes, Timed>> {
  using base = with_chain<Queue, Traits, Pushes, 3, chain>;
  static inline does what;

  box<Queue, 1> b;
  bool a_is_gone = false;

  void before() {
    base::before();
    this->is_timed = Timed;
    base::make(b);
    if (Pushes && base::buffers) this->push(*b, 1);
  }
  void thread(unsigned index) {
    if (index == 0) {
      const op_status first = this->one(*this->a);
      RL_ASSERT(first == op_status::ok || first == op_status::cancelled ||
                (Timed && first == op_status::timeout) ||
                (what >= does::closes && first == op_status::closed));
      if (what < does::closes) {
        const op_status second = this->one(*b);
        RL_ASSERT(second == op_status::ok || second == op_status::cancelled ||
                  (Timed && second == op_status::timeout));
      }
      this->end_chain();
    } else if (index == 1) {
      serve();
    } else {
      this->halt->request_stop();
    }
  }
  void serve() {
    switch (what) {
      case does::nothing:
        break;
      case does::one:
      case does::two:
        Pushes ? this->pop(*this->a) : this->push(*this->a, 0);
        if (what == does::two) Pushes ? this->pop(*b) : this->push(*b, 1);
        break;
      case does::closes:
        this->a->close();
        break;
      case does::destroys:
        while (!this->sleeps) Traits::yield();
        if (Pushes && base::buffers) ++this->out;
        this->a.destroy();
        a_is_gone = true;
        break;
    }
  }

  void empty(Queue& queue) {
    while (queue.try_pop()) ++this->out;
    if (queue.is_closed()) return;
    // Nobody is listed: he would take it.
    const op_status pushed = queue.try_push(message(9));
    if constexpr (base::buffers) {
      RL_ASSERT(pushed == op_status::ok && queue.size_approx() == 1);
    } else {
      RL_ASSERT(pushed == op_status::full);
    }
  }
  void after() {
    if (!a_is_gone) {
      empty(*this->a);
      this->a.destroy();
    }
    empty(*b);
    b.destroy();
    base::after();
  }
};

/// Thread 1 closes the queue, and who hears that destroys it.
template <class Queue, class Traits, bool Pushes>
struct closed_and_destroyed
    : with_chain<Queue, Traits, Pushes, 4, closed_and_destroyed<Queue, Traits, Pushes>> {
  void thread(unsigned index) {
    if (index == 0) {
      const op_status how = this->one(*this->a);
      RL_ASSERT(how == op_status::closed || how == op_status::cancelled);
      this->end_chain();
      return;
    }
    while (!this->sleeps) Traits::yield();
    if (index == 1) {
      this->a->close();
    } else if (index == 2) {
      this->halt->request_stop();
    } else {
      if (Pushes) {
        while (!this->a->is_closed()) Traits::yield();
        this->pop(*this->a);
        RL_ASSERT(this->a->drained().wait() == op_status::ok);
      } else {
        RL_ASSERT(this->a->pop().wait().status() == op_status::closed);
      }
      this->a.destroy();
    }
  }
};

/// The chain hands its message to a popper, who destroys the queue.
template <class Queue, class Traits>
struct handed_over : with_chain<Queue, Traits, true, 3, handed_over<Queue, Traits>> {
  void before() {
    this->make(this->a);
    this->halt.make();
    this->slot.make();
    this->slot->attach(this->halt->token());
  }
  void thread(unsigned index) {
    if (index == 0) {
      const op_status how = this->one(*this->a);
      if (how != op_status::ok) this->a->close();
      this->end_chain();
    } else if (index == 1) {
      this->out += static_cast<bool>(this->a->pop().wait());
      this->a.destroy();
    } else {
      this->halt->request_stop();
    }
  }
};

template <class Queue, class Traits, bool Pushes, bool Timed>
void chains(const char* name) {
  using scenario_type = chain<Queue, Traits, Pushes, Timed>;
  const char* const servers[] = {"", " | a server", " | a server of two", " | close", " | ~queue"};
  for (const does what : {does::nothing, does::one, does::two, does::closes, does::destroys}) {
    scenario_type::what = what;
    const std::string calls = std::string(name) + (Pushes ? ": pushes" : ": pops") +
                              (Timed ? ", timed" : "") + servers[static_cast<int>(what)] + " | stop";
    check<scenario_type>(calls.c_str(), {2, 10000});
  }
}

template <class Queue, class Traits>
void destroyers(const char* name) {
  const auto title = [&](const char* what) { return name + std::string(": ") + what; };
  check<closed_and_destroyed<Queue, Traits, false>>(title("pop | close | stop | ~queue").c_str(), {1, 20000});
  check<handed_over<Queue, Traits>>(title("push | pop, ~queue | stop").c_str(), {2, 10000});
}

template <class Traits>
void all() {
  using bounded = bounded_queue<message, Traits>;
  chains<bounded, Traits, false, false>("bounded_queue");
  chains<bounded, Traits, true, false>("bounded_queue");
  chains<bounded, Traits, false, true>("bounded_queue");
  chains<bounded, Traits, true, true>("bounded_queue");
  destroyers<bounded, Traits>("bounded_queue");
  check<closed_and_destroyed<bounded, Traits, true>>("bounded_queue: push | close | stop | drained, ~queue",
                                                     {1, 20000});
  using rendezvous = rendezvous_queue<message, Traits>;
  chains<rendezvous, Traits, false, false>("rendezvous_queue");
  chains<rendezvous, Traits, true, false>("rendezvous_queue");
  chains<unbounded_queue<message, Traits>, Traits, false, false>("unbounded_queue");
  destroyers<rendezvous, Traits>("rendezvous_queue");
  destroyers<unbounded_queue<message, Traits>, Traits>("unbounded_queue");
  using spsc = spsc_queue<message, Traits>;
  chains<spsc, Traits, false, false>("spsc_queue");
  chains<spsc, Traits, true, false>("spsc_queue");
}

}  // namespace

int main() {
  std::printf("fences of the language\n");
  all<symmetric_traits>();
  std::printf("a fence of all threads\n");
  all<asymmetric_traits>();
  return result();
}
