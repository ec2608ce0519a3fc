// SPDX-License-Identifier: BSL-1.0
//
// broadcast under every schedule: scripts of calls by threads that each have a subscriber of their own,
// judged by counting (what was pushed since a subscriber came = popped + missed + left) and by order; and how
// sleeps end.

#include <model/history.hpp>

#include <cstring>
#include <string>

#include <millrace/queue/broadcast.hpp>
#include <millrace/wait/select.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

/// A message that is copied, counts itself, and is watched for races.
class note {
 public:
  static inline int alive = 0;

  note(int id) noexcept : id_(id) { ++alive; }  // NOLINT: a message is its id
  note(const note& other) noexcept : id_(other.id()) { ++alive; }
  note(note&& other) noexcept : id_(std::exchange(other.id_, -1)) {
    other.probe_.write();
    ++alive;
  }
  note& operator=(note&&) = delete;
  ~note() {
    probe_.write();
    --alive;
  }
  int id() const {
    probe_.read();
    return id_;
  }

 private:
  int id_;
  probe probe_;
};

/// Tickets near the end of the word: the third one wraps.
struct wrapping_traits : model_traits {
  static constexpr ticket first_ticket = ~ticket{0} - 1;
};

using traits = wrapping_traits;
using board = broadcast<note, traits>;
using reader = board::subscriber;
using source = basic_stop_source<traits>;

constexpr const char* words[] = {"push", "try_push", "push~", "pop",   "try_pop",
                                 "pop~", "missed",   "join",  "leave", "close"};
enum class word { push, try_push, push_back, pop, try_pop, pop_back, missed, join, leave, close };

/// Each thread that pops or leaves has a subscriber, from the beginning or from its `join` on. When all that
/// have not ended sleep, whoever notices closes: so each script comes to its end. Nobody may sleep then who
/// need not.
template <int Threads>
struct talk : scenario<talk<Threads>, Threads> {
  static constexpr int most = 20;  // messages
  static inline broadcast_policy policy;
  static inline std::size_t capacity;
  static inline int filled;
  static inline script<word, Threads> what;
  static inline bool reads[Threads];
  static inline bool joins[Threads];

  struct seat {
    reader own;
    bool is_known = false;  // from the beginning
    bool left = false;
    bool over = false;  // it heard `closed`
    int joined_from = 0, joined_to = 0;
    int read[most];
    int popped = 0;
    std::uint64_t missed = 0;
  };
  struct letter {
    int began = 0, ended = 0;
    bool ok = false;
  };

  box<board> all;
  seat seats[Threads];
  letter letters[most];
  sleeper<traits>* asleep[Threads] = {};
  bool pushes[Threads] = {};
  bool ended[Threads] = {};
  bool is_closed = false;
  int pushed = 0;
  int time = 0;

  void before() {
    note::alive = 0;
    all.make(capacity, broadcast_options{policy});
    for (int t = 0; t < Threads; ++t) {
      if (!reads[t] || joins[t]) continue;
      seats[t].own = all->subscribe();
      seats[t].is_known = true;
    }
    for (int id = 0; id < filled; ++id) try_push(id);
  }

  void thread(unsigned index) {
    what.run(index, [&](word call, int n) { make(seats[index], call, filled + n); });
    ended[index] = true;
    nobody_stays();
  }

  void make(seat& at, word call, int id) {
    switch (call) {
      case word::push:
        return push(id, false);
      case word::try_push:
        return try_push(id);
      case word::push_back:
        return push(id, true);
      case word::pop:
        return pop(at, false);
      case word::try_pop:
        return try_pop(at);
      case word::pop_back:
        return pop(at, true);
      case word::missed:
        return look(at);
      case word::join:
        at.joined_from = ++time;
        at.own = all->subscribe();
        at.joined_to = ++time;
        return;
      case word::leave:
        at.left = true;
        at.own.unsubscribe();
        return;
      case word::close:
        all->close();
        is_closed = true;
        return;
    }
  }

  /// False: it was taken back.
  template <class Step>
  bool sleeps_through(Step& step, bool takes_back) {
    if (step.attempt_fast()) return true;
    sleeper<traits> w;
    if (!parks(step, w)) {
      RL_ASSERT(w.wakes() == 0);
      return true;
    }
    if (takes_back) {
      if (step.withdraw(w)) {
        RL_ASSERT(!step.withdraw(w) && w.wakes() == 0);
        return false;
      }
      w.block();  // for somebody is completing it
    } else {
      asleep[rl::ctx().current_thread()] = &w;
      nobody_stays();
      w.block();
      asleep[rl::ctx().current_thread()] = nullptr;
    }
    RL_ASSERT(w.wakes() == 1 && !step.withdraw(w));
    return true;
  }

  void nobody_stays() {
    bool some = false;
    bool push_sleeps = false;
    for (int t = 0; t < Threads; ++t) {
      const bool sleeps = asleep[t] != nullptr && asleep[t]->wakes() == 0;
      if (!ended[t] && !sleeps) return;
      some |= sleeps;
      push_sleeps |= sleeps && pushes[t];
    }
    if (!some) return;
    RL_ASSERT(!is_closed);
    bool is_full = false;
    for (int t = 0; t < Threads; ++t) {
      const seat& at = seats[t];
      if (!at.own) continue;
      const std::uint64_t left = unread(at);
      is_full |= !at.is_known || left == capacity;
      if (asleep[t] != nullptr && !pushes[t]) RL_ASSERT(!at.is_known || left == 0);
    }
    RL_ASSERT(!push_sleeps || (policy == broadcast_policy::gate && is_full));
    is_closed = true;
    all->close();
  }
  std::uint64_t unread(const seat& at) const {
    return static_cast<std::uint64_t>(pushed - at.popped) - at.missed;
  }

  void push(int id, bool takes_back) {
    letters[id].began = ++time;
    auto step = detail::operation_access::take_step(all->push(note(id)));
    pushes[rl::ctx().current_thread()] = true;
    const bool did = sleeps_through(step, takes_back);
    pushes[rl::ctx().current_thread()] = false;
    if (!did) {
      RL_ASSERT(step.message().id() == id);
      return;
    }
    const push_result<note> r = step.take_result();
    RL_ASSERT(r.status() == op_status::ok || (r.status() == op_status::closed && all->is_closed()));
    RL_ASSERT(r.returned() == !r && (r || r.value().id() == id));
    tell(id, r.status());
  }
  void try_push(int id) {
    letters[id].began = ++time;
    note m(id);
    const op_status said = all->try_push(std::move(m));
    RL_ASSERT((said == op_status::ok) == (m.id() != id));
    if (said == op_status::full) RL_ASSERT(policy == broadcast_policy::gate);
    tell(id, said);
  }
  void tell(int id, op_status said) {
    letters[id].ended = ++time;
    letters[id].ok = said == op_status::ok;
    pushed += said == op_status::ok;
  }

  void pop(seat& at, bool takes_back) {
    auto step = detail::operation_access::take_step(at.own.pop());
    if (!sleeps_through(step, takes_back)) return;
    const pop_result<note> m = step.take_result();
    RL_ASSERT(m || (m.status() == op_status::closed && all->is_closed()));
    took(at, m);
  }
  void try_pop(seat& at) { took(at, at.own.try_pop()); }
  void took(seat& at, const pop_result<note>& m) {
    if (m) {
      RL_ASSERT(!at.over && at.popped < most);
      at.read[at.popped++] = m->id();
    } else if (m.status() == op_status::closed) {
      at.over = true;
    }
    look(at);
  }
  void look(seat& at) {
    const std::uint64_t now = at.own.missed();
    RL_ASSERT(now >= at.missed);
    at.missed = now;
    RL_ASSERT(at.missed == 0 || policy == broadcast_policy::lag);
  }

  void after() {
    for (int t = 0; t < Threads; ++t) {
      seat& at = seats[t];
      if (!at.own) continue;
      if (t % 2 != 0) all_gone();  // some outlive it
      while (const pop_result<note> m = at.own.try_pop()) took(at, m);
      RL_ASSERT(at.own.try_pop().status() == (is_closed ? op_status::closed : op_status::empty));
      look(at);
      RL_ASSERT(!at.is_known || unread(at) == 0);
    }
    for (const seat& a : seats) {
      check(a);
      for (const seat& b : seats) check_order(a, b);
    }
    for (seat& at : seats) at.own.unsubscribe();
    all_gone();
    RL_ASSERT(note::alive == 0);
  }
  bool is_gone = false;
  void all_gone() {
    if (std::exchange(is_gone, true)) return;
    is_closed = true;
    all.destroy();
  }

  /// Each message once, in the order of pushes that came one after the other; a newcomer gets what is pushed
  /// after it came, and nothing from before.
  void check(const seat& a) const {
    for (int i = 0; i < a.popped; ++i) {
      const letter& one = letters[a.read[i]];
      RL_ASSERT(one.ok && one.ended > a.joined_from);
      for (int j = 0; j < i; ++j) {
        RL_ASSERT(a.read[j] != a.read[i]);
        RL_ASSERT(!(one.ended < letters[a.read[j]].began));
      }
    }
    if (!a.own || a.left) return;
    std::uint64_t due = 0;
    for (int id = 0; id < most; ++id) {
      if (letters[id].ok && letters[id].began > a.joined_to && position(a, id) < 0) ++due;
    }
    RL_ASSERT(due <= a.missed);
  }
  void check_order(const seat& a, const seat& b) const {
    for (int i = 0; i < a.popped; ++i) {
      for (int j = i + 1; j < a.popped; ++j) {
        const int p = position(b, a.read[i]);
        const int q = position(b, a.read[j]);
        RL_ASSERT(p < 0 || q < 0 || p < q);
      }
    }
  }
  static int position(const seat& at, int id) {
    for (int i = 0; i < at.popped; ++i) {
      if (at.read[i] == id) return i;
    }
    return -1;
  }
};

template <int Threads>
void run(const std::string& text, broadcast_policy policy, std::size_t capacity, int filled, search depth) {
  using scenario = talk<Threads>;
  scenario::policy = policy;
  scenario::capacity = capacity;
  scenario::filled = filled;
  scenario::what = {text.c_str(), words};
  std::size_t begin = 0;
  for (int t = 0; t < Threads; ++t) {
    const std::size_t end = std::min(text.find('|', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const auto has = [&part](const char* call) { return part.find(call) != std::string::npos; };
    scenario::reads[t] = has("pop") || has("leave") || has("missed");
    scenario::joins[t] = has("join");
    begin = std::min(end + 1, text.size());
  }
  const std::string name = (policy == broadcast_policy::gate ? "gate " : "lag ") + std::to_string(capacity) +
                           "/" + std::to_string(filled) + ": " + text;
  check<scenario>(name.c_str(), depth);
}

constexpr broadcast_policy policies[] = {broadcast_policy::gate, broadcast_policy::lag};

/// A broadcast, a subscriber, and a stop source.
template <class Derived, int Threads>
struct with_end : scenario<Derived, Threads> {
  static inline broadcast_policy policy = broadcast_policy::gate;
  box<board> all;
  reader one;
  reader two;
  box<source> halt;
  bool is_gone = false;

  void before() {
    note::alive = 0;
    all.make(1, broadcast_options{policy});
    one = all->subscribe();
    halt.make();
  }
  void destroy() {
    all.destroy();
    is_gone = true;
  }
  void after() {
    if (!is_gone) destroy();
    one.unsubscribe();
    two.unsubscribe();
    halt.destroy();
    RL_ASSERT(note::alive == 0);
  }
};

/// Who has the last message, was let in, or hears `closed`, destroys the broadcast and its subscriber
/// while the other's call returns.
enum class hears { message, taken, closed_pop, closed_push, is_closed };

template <hears Who>
struct destroys : with_end<destroys<Who>, 2> {
  probe earlier;
  bool is_read = false;

  void before() {
    this->with_end<destroys, 2>::before();
    if (Who == hears::taken || Who == hears::closed_push)
      RL_ASSERT(this->all->try_push(note(0)) == op_status::ok);
  }
  void thread(unsigned index) {
    if (index == 1) {
      earlier.write();
      if (Who == hears::message) {
        RL_ASSERT(this->all->push(note(1)).wait());
      } else if (Who == hears::taken) {
        RL_ASSERT(this->one.pop().wait()->id() == 0);
        is_read = true;
      } else {
        RL_ASSERT(this->all->close());
      }
      return;
    }
    if (Who == hears::message) {
      RL_ASSERT(this->one.pop().wait()->id() == 1);
    } else if (Who == hears::taken) {
      RL_ASSERT(this->all->push(note(1)).wait());
    } else if (Who == hears::closed_pop) {
      RL_ASSERT(this->one.pop().wait().status() == op_status::closed);
    } else if (Who == hears::closed_push) {
      RL_ASSERT(this->all->push(note(1)).wait().status() == op_status::closed);
    } else {
      while (!this->all->is_closed()) traits::yield();
    }
    earlier.read();
    this->destroy();
    if (Who != hears::taken) this->one.unsubscribe();
  }
};

/// A pop that a push (or a close) and a stop want to end: what it does not take, the next one takes.
template <bool Closes>
struct stopped_pop : with_end<stopped_pop<Closes>, 3> {
  bool has_read = false;

  void thread(unsigned index) {
    if (index == 0) {
      const auto m = this->one.pop().with(this->halt->token()).wait();
      has_read = static_cast<bool>(m);
      RL_ASSERT(m || m.status() == op_status::cancelled || (Closes && m.status() == op_status::closed));
    } else if (index == 1) {
      this->halt->request_stop();
    } else if (Closes) {
      this->all->close();
    } else {
      RL_ASSERT(this->all->try_push(note(1)) == op_status::ok);
    }
  }
  void after() {
    if (!Closes) RL_ASSERT(static_cast<bool>(this->one.try_pop()) != has_read);
    this->with_end<stopped_pop, 3>::after();
  }
};

/// A push that waits for room, which a pop makes or a subscriber that leaves; and a stop, or the end of all.
enum class room { pop, leave, end, leave_and_end };

template <room How>
struct stopped_push : with_end<stopped_push<How>, 3> {
  static constexpr bool ends = How == room::end || How == room::leave_and_end;
  bool is_in = false;
  bool sleeps = false;

  void before() {
    this->with_end<stopped_push, 3>::before();
    RL_ASSERT(this->all->try_push(note(0)) == op_status::ok);
    this->two = this->all->subscribe();
  }
  void thread(unsigned index) {
    if (index == 0) {
      // The step by hand: nobody may begin an operation while the broadcast goes.
      auto step = detail::operation_access::take_step(this->all->push(note(1)));
      using step_type = decltype(step);
      detail::thread_waiter<detail::suspension<step_type, basic_stop_token<traits>, false>, traits> w(step);
      const bool must_block = w.sleep({this->halt->token()});
      sleeps = true;
      if (must_block) {
        w.block();
        RL_ASSERT(!step.withdraw(w));  // touches the broadcast no more
      }
      const auto r = step.take_result();
      is_in = static_cast<bool>(r);
      RL_ASSERT(r || r.value().id() == 1);
      RL_ASSERT(r || r.status() == op_status::cancelled || (ends && r.status() == op_status::closed));
    } else if (index == 1) {
      if (ends) {
        while (!sleeps) traits::yield();
      }
      this->halt->request_stop();
    } else if (How == room::pop) {
      RL_ASSERT(this->one.pop().wait()->id() == 0);
    } else if (How == room::leave) {
      this->one.unsubscribe();
    } else {
      while (!sleeps) traits::yield();
      if (How == room::leave_and_end) {
        this->two.unsubscribe();
        this->one.unsubscribe();
      }
      this->destroy();
    }
  }
  void after() {
    if (this->two) RL_ASSERT(static_cast<bool>(this->two.try_pop()) == is_in);
    this->with_end<stopped_push, 3>::after();
  }
};

/// The broadcast is destroyed while a subscriber's pop sleeps, or reads what is left.
template <bool Filled>
struct outlives : with_end<outlives<Filled>, 2> {
  void before() {
    this->with_end<outlives, 2>::before();
    if (Filled) RL_ASSERT(this->all->try_push(note(1)) == op_status::ok);
  }
  void thread(unsigned index) {
    if (index == 0) {
      if (Filled) RL_ASSERT(this->one.pop().wait()->id() == 1);
      RL_ASSERT(this->one.pop().wait().status() == op_status::closed);
      this->one.unsubscribe();
    } else {
      this->destroy();
    }
  }
};

/// Whoever lags finds the next message that is there, also while a push overwrites the one that he looks at.
struct finds : scenario<finds, 2> {
  box<board> all;
  reader one;

  void before() {
    note::alive = 0;
    all.make(2, broadcast_options{broadcast_policy::lag});
    one = all->subscribe();
    for (int id = 0; id < 2; ++id) RL_ASSERT(all->try_push(note(id)) == op_status::ok);
  }
  void thread(unsigned index) {
    if (index == 0) {
      const auto m = one.try_pop();
      RL_ASSERT(m && m->id() == static_cast<int>(one.missed()));
    } else {
      RL_ASSERT(all->try_push(note(2)) == op_status::ok);
    }
  }
  void after() {
    one.unsubscribe();
    all.destroy();
    RL_ASSERT(note::alive == 0);
  }
};

/// A select over two subscribers takes one message, and leaves the other's to it.
struct selects : with_end<selects, 3> {
  void before() {
    with_end::before();
    two = all->subscribe();
  }
  void thread(unsigned index) {
    if (index == 0) {
      auto chosen = select_biased(one.pop(), two.pop()).with(halt->token()).wait();
      RL_ASSERT(chosen.get<0>() || chosen.get<1>() || chosen.index() == chosen.none);
      RL_ASSERT(!(chosen.get<0>() && chosen.get<1>()));
      RL_ASSERT(static_cast<bool>(one.try_pop()) || chosen.get<0>() || chosen.index() == chosen.none ||
                chosen.index() == 1);
    } else if (index == 1) {
      RL_ASSERT(all->try_push(note(1)) == op_status::ok);
    } else {
      halt->request_stop();
    }
  }
};

/// A select pushes, or pops from the very subscriber that holds it back: one of the two, always.
struct select_own : with_end<select_own, 2> {
  int in = 0;
  int out = 0;
  void before() {
    with_end::before();
    RL_ASSERT(all->try_push(note(0)) == op_status::ok);
    in = 1;
  }
  void thread(unsigned index) {
    if (index == 0) {
      for (int i = 0; i < 2; ++i) {
        auto chosen = select_biased(all->push(note(1 + i)), one.pop()).wait();
        in += chosen.index() == 0;
        out += chosen.index() == 1;
      }
    } else {
      in += all->try_push(note(9)) == op_status::ok;
    }
  }
  void after() {
    while (one.try_pop()) ++out;
    RL_ASSERT(in == out);
    with_end::after();
  }
};

// Preemptions, of three threads that do more than one thing each: 2 are too many to exhaust.
constexpr unsigned deep = 1;
const unsigned at_random = std::getenv("MILLRACE_FULL") != nullptr ? 100000 : 5000;

void pairs() {
  for (const broadcast_policy policy : policies) {
    for (const int filled : {0, 1}) {
      for (const std::string a : words) {
        for (const std::string b : words) {
          if (a <= b) run<2>(a + " | " + b, policy, 1, filled, {3, 0});
        }
      }
    }
  }
}

}  // namespace

int main() {
  for (const broadcast_policy policy : policies) {
    with_end<destroys<hears::message>, 2>::policy = policy;
    with_end<destroys<hears::closed_pop>, 2>::policy = policy;
    check<destroys<hears::message>>("a subscriber has the last message, and destroys all", {3, 2000});
    check<destroys<hears::closed_pop>>("a pop hears closed, and destroys all", {3, 2000});
  }
  check<destroys<hears::taken>>("a pusher is let in, and destroys the broadcast", {3, 2000});
  check<destroys<hears::closed_push>>("a push hears closed, and destroys all", {3, 2000});
  check<destroys<hears::is_closed>>("is_closed() hears it too", {3, 2000});
  check<stopped_pop<false>>("pop | push | stop", {2, 5000});
  check<stopped_pop<true>>("pop | close | stop", {2, 5000});
  check<stopped_push<room::pop>>("push | pop | stop", {2, 5000});
  check<stopped_push<room::leave>>("push | leave | stop", {2, 5000});
  check<stopped_push<room::end>>("push | ~broadcast | stop", {2, 5000});
  check<stopped_push<room::leave_and_end>>("push | all leave, ~broadcast | stop", {2, 5000});
  check<outlives<false>>("a subscriber outlives the broadcast", {3, 2000});
  check<outlives<true>>("a subscriber outlives the broadcast, and a message too", {3, 2000});
  check<finds>("a subscriber that lags finds what is there", {3, 5000});
  check<selects>("a select over two subscribers", {2, 5000});
  check<select_own>("a select of a push and the pop that makes room", {3, 5000});
  pairs();
  for (const broadcast_policy policy : policies) {
    const auto two = [policy](const char* text, std::size_t capacity, int filled) {
      run<2>(text, policy, capacity, filled, {2, at_random});
    };
    const auto three = [policy](const char* text, std::size_t capacity, int filled, unsigned bound = 2) {
      run<3>(text, policy, capacity, filled, {bound, at_random});
    };
    two("push push push | pop pop pop", 1, 0);
    run<2>("push push push push | pop pop pop pop", policy, 2, 0, {deep, at_random});
    two("push push push | try_pop missed pop", 1, 0);
    two("push push push | pop try_pop", 2, 1);
    two("push push | pop leave", 1, 0);
    two("push push push | join pop pop leave", 1, 0);
    two("push push~ push | pop pop", 1, 1);
    two("push push close | pop pop pop", 1, 0);
    three("push | push | pop pop", 1, 0);
    three("push | pop | pop", 1, 0);
    three("push | pop | pop", 1, 1);
    three("push | pop | leave", 1, 1);
    three("push | leave | leave", 1, 1);
    three("push | push | leave", 1, 1);
    three("push | push~ | leave", 1, 1);
    three("push | push~ | pop", 1, 1);
    three("push~ | push~ | pop", 1, 1);
    three("push | push | close", 1, 1);
    three("push | pop | close", 1, 0);
    three("push | pop | close", 1, 1);
    three("push | pop~ | pop", 1, 0);
    three("push | join pop | leave", 1, 1);
    three("push | join pop | close", 1, 0);
    three("try_push | try_push | pop", 2, 1);
    three("try_push | try_push | try_pop missed", 1, 1);
    three("push | push | pop pop pop", 2, 1, deep);
    run<3>("push push | pop pop | pop pop", policy, 1, 0, {0, 4 * at_random});
    three("push push | push | pop pop", 1, 0, deep);
    three("push push | pop leave | pop", 1, 0, deep);
    three("push push | pop pop | join pop leave", 1, 0, deep);
    run<4>("push push | push push | pop pop pop pop | pop pop pop pop", policy, 1, 0, {0, 20000});
    run<4>("push push | push~ | pop pop leave | join pop", policy, 2, 1, {0, 20000});
  }
  return result();
}
