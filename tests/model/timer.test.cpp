// SPDX-License-Identifier: BSL-1.0
//
// Timers under every schedule: what is due is fired once, or removed before, and whoever has removed a timer
// may destroy it.

#include <support/model.hpp>

#include <initializer_list>
#include <optional>
#include <string>

#include <millrace/wait/timer.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;
using traits = model_traits;
using queue_type = basic_timer_queue<traits>;
using time_point = queue_type::time_point;

constexpr time_point at(int n) {
  return time_point() + std::chrono::seconds(n);
}
constexpr time_point never = time_point::max();

/// What a thread does.
enum class role {
  expires,        // fires what is due
  waits,          // adds a timer, and removes it
  waits_longer,   // adds a timer that is never due, and removes it
  leaves_itself,  // adds a timer whose fire() removes and destroys it
  repeats,        // adds a timer whose fire() adds it once more, for later, and removes it
};
constexpr const char* names[] = {"expires", "waits", "waits longer", "leaves itself", "repeats"};
constexpr role roles[] = {role::expires, role::waits, role::waits_longer, role::leaves_itself, role::repeats};

template <int Threads>
struct meeting : scenario<meeting<Threads>, Threads> {
  static inline role what[Threads];

  struct timer : timer_node {
    meeting& all;
    unsigned index;
    model::probe inside;
    int fires = 0;
    timer(meeting& m, unsigned i) : all(m), index(i) {
      this->deadline = at(what[i] == role::waits_longer ? 9 : static_cast<int>(i));
      this->fire = [](timer_node* node) noexcept {
        auto& self = *static_cast<timer*>(node);
        self.all.fired(self);
      };
    }
  };

  std::optional<queue_type> queue;
  std::optional<timer> timers[Threads];
  int fires[Threads] = {};
  std::size_t fired_by_expire = 0;
  std::size_t fired_in_all = 0;

  void before() { queue.emplace(); }

  void thread(unsigned index) {
    if (what[index] == role::expires) {
      fired_by_expire += queue->expire(at(Threads));
      return;
    }
    timer& mine = timers[index].emplace(*this, index);
    mine.inside.write();
    queue->add(mine);
    if (what[index] == role::leaves_itself) return;
    queue->remove(mine);
    mine.inside.write();  // its fire() is over, or will not be
    RL_ASSERT(mine.fires == fires[index]);
    timers[index].reset();
  }

  void fired(timer& self) {
    const unsigned index = self.index;
    self.inside.write();
    ++fired_in_all;
    RL_ASSERT(what[index] != role::waits_longer);
    RL_ASSERT(++fires[index] == 1);
    if (what[index] == role::leaves_itself) {
      queue->remove(self);
      timers[index].reset();
      return;
    }
    if (what[index] == role::repeats) {
      self.deadline = at(9);
      queue->add(self);
    }
    (void)queue->earliest();  // another thread may go on here
    RL_ASSERT(++self.fires == fires[index]);
    self.inside.write();
  }

  void after() {
    fired_by_expire += queue->expire(at(Threads));
    RL_ASSERT(fired_by_expire == fired_in_all);
    for (int i = 0; i < Threads; ++i) {
      RL_ASSERT(!timers[i]);
      if (what[i] == role::leaves_itself) RL_ASSERT(fires[i] == 1);
    }
    RL_ASSERT(queue->earliest() == never);
    queue.reset();
  }
};

/// Two remove one timer, while a third fires it.
struct two_removers : scenario<two_removers, 3> {
  struct timer : timer_node {
    two_removers& all;
    model::probe inside;
    bool removed = false;
    explicit timer(two_removers& a) : all(a) {
      this->fire = [](timer_node* node) noexcept {
        auto& self = *static_cast<timer*>(node);
        RL_ASSERT(!self.removed);
        (void)self.all.queue->earliest();
        self.inside.write();
        RL_ASSERT(!self.removed);
      };
    }
  };
  std::optional<queue_type> queue;
  std::optional<timer> timers[2];

  void before() {
    queue.emplace();
    for (int i = 0; i < 2; ++i) {
      timers[i].emplace(*this).deadline = at(i);
      queue->add(*timers[i]);
    }
  }
  void thread(unsigned index) {
    if (index == 0) {
      queue->expire(at(1));
    } else {
      queue->remove(*timers[0]);
      timers[0]->removed = true;
      if (index == 2) {
        queue->remove(*timers[1]);
        timers[1]->removed = true;
        timers[1]->inside.write();
      }
    }
  }
  void after() {
    for (auto& one : timers) one.reset();
    queue.reset();
  }
};

/// Timers come and go in any order: those that are left fire once, in the order of their deadlines.
struct in_order : scenario<in_order, 1> {
  static constexpr unsigned count = 7;
  struct timer : timer_node {
    in_order& all;
    bool is_in = false;
    explicit timer(in_order& a) : all(a) {
      this->fire = [](timer_node* node) noexcept {
        auto& self = *static_cast<timer*>(node);
        RL_ASSERT(self.is_in && !(self.deadline < self.all.last));
        self.is_in = false;
        self.all.last = self.deadline;
      };
    }
  };
  queue_type queue;
  std::optional<timer> timers[count];
  time_point last;

  void thread(unsigned) {
    for (auto& one : timers) {
      one.emplace(*this);
      add(*one, 0);
    }
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 2; ++i) remove(*timers[rl::rand(count)]);
      expire(round + 1);
      for (auto& one : timers) {
        if (!one->is_in && rl::rand(2) != 0) add(*one, round + 1);
      }
    }
    expire(9);
    for (auto& one : timers) RL_ASSERT(!one->is_in);
  }
  void add(timer& one, int from) {
    one.deadline = at(from + static_cast<int>(rl::rand(4)));
    one.is_in = true;
    queue.add(one);
    check_earliest();
  }
  void remove(timer& one) {
    one.is_in = false;
    queue.remove(one);
    check_earliest();
  }
  void expire(int until) {
    last = time_point::min();
    queue.expire(at(until));
    for (auto& one : timers) RL_ASSERT(!one->is_in || at(until) < one->deadline);
    check_earliest();
  }
  void check_earliest() {
    time_point first = never;
    for (auto& one : timers) {
      if (one && one->is_in && one->deadline < first) first = one->deadline;
    }
    RL_ASSERT(queue.earliest() == first);
  }
};

template <int Threads>
void run(std::initializer_list<role> what, search depth) {
  const char* separator = "";
  std::string name;
  int i = 0;
  for (const role r : what) {
    name += separator + std::string(names[static_cast<int>(r)]);
    separator = " | ";
    meeting<Threads>::what[i++] = r;
  }
  check<meeting<Threads>>(name.c_str(), depth);
}

}  // namespace

int main() {
  for (const role a : roles) {
    for (const role b : roles) {
      if (a <= b) run<2>({a, b}, {4, 5000});
    }
  }
  for (const role a : roles) {
    for (const role b : roles) {
      if (a <= b) run<3>({role::expires, a, b}, {2, 10000});
    }
  }
  run<4>({role::expires, role::expires, role::waits, role::repeats}, {0, 30000});
  run<4>({role::expires, role::waits, role::waits, role::leaves_itself}, {0, 30000});
  check<two_removers>("two remove one timer", {2, 20000});
  check<in_order>("timers fire in order", {0, 20000});
  return result();
}
