// SPDX-License-Identifier: BSL-1.0
//
// Stop tokens under every schedule: what listens is told once, or refused, or removed before; whoever has
// removed it may destroy it; and when nothing listens any more, the source may go.

#include <support/model.hpp>

#include <initializer_list>
#include <optional>
#include <string>

#include <millrace/wait/stop_token.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;
using traits = model_traits;

/// What a thread does.
enum class role {
  requests,       // requests a stop
  asks,           // whether one was requested
  listens,        // adds a node, and removes it
  leaves_itself,  // adds a node whose fire() removes and destroys it
  adds_another,   // adds a node whose fire() adds another, and removes it
};
constexpr const char* names[] = {"requests", "asks", "listens", "leaves itself", "adds another"};
constexpr role roles[] = {role::requests, role::asks, role::listens, role::leaves_itself, role::adds_another};

template <int Threads>
struct meeting : scenario<meeting<Threads>, Threads> {
  static inline role what[Threads];

  struct listener : stop_node<traits> {
    meeting& at;
    unsigned index;
    model::probe inside;
    int fires = 0;
    listener(meeting& m, unsigned i) : at(m), index(i) {
      this->fire = [](stop_node<traits>* node) noexcept {
        auto& self = *static_cast<listener*>(node);
        self.at.fired(self);
      };
    }
  };

  std::optional<basic_stop_source<traits>> source;
  std::optional<listener> nodes[Threads];
  std::optional<listener> another;
  probe before_request[Threads];
  int requests = 0;  // that were the first
  bool fired_[Threads] = {};
  bool listed[Threads] = {};

  void before() { source.emplace(); }

  void thread(unsigned index) {
    const basic_stop_token<traits> token = source->token();
    if (what[index] == role::requests) {
      before_request[index].write();
      if (source->request_stop()) {
        RL_ASSERT(++requests == 1);
      }
      RL_ASSERT(token.stop_requested());
    } else if (what[index] == role::asks) {
      if (token.stop_requested()) somebody_requested();
    } else {
      nodes[index].emplace(*this, index);
      nodes[index]->inside.write();
      listed[index] = true;
      if (!token.add(*nodes[index])) {
        listed[index] = false;
        somebody_requested();
        RL_ASSERT(!fired_[index]);
      }
      if (what[index] == role::leaves_itself && listed[index]) return;
      token.remove(*nodes[index]);
      nodes[index]->inside.write();  // its fire() is over, or will not be
      RL_ASSERT(nodes[index]->fires == (fired_[index] ? 1 : 0));
      nodes[index].reset();
    }
  }

  void somebody_requested() {
    if constexpr (Threads == 2) {  // the other one
      before_request[1 - rl::ctx().current_thread()].read();
    }
  }

  void fired(listener& self) {
    self.inside.write();
    RL_ASSERT(++self.fires == 1);
    fired_[self.index] = true;
    RL_ASSERT(source->stop_requested());
    RL_ASSERT(!source->request_stop());
    if (what[self.index] == role::leaves_itself) {
      source->token().remove(self);
      nodes[self.index].reset();
    } else if (what[self.index] == role::adds_another) {
      another.emplace(*this, self.index);
      RL_ASSERT(!source->token().add(*another));
      source->token().remove(*another);
      another.reset();
    }
  }

  void after() {
    bool asked = false;
    for (int i = 0; i < Threads; ++i) {
      asked |= what[i] == role::requests;
      if (what[i] == role::leaves_itself && listed[i] && !fired_[i]) {
        RL_ASSERT(!asked || i == 0 || requests == 0 || !source->stop_requested());
        source->token().remove(*nodes[i]);
        nodes[i].reset();
      }
    }
    RL_ASSERT(requests == (asked ? 1 : 0));
    RL_ASSERT(source->stop_requested() == asked);
    source.reset();
  }
};

/// Two remove one node: its owner, and the fire() of another node; and a third removes its neighbour.
struct two_removers : scenario<two_removers, 3> {
  struct listener : stop_node<traits> {
    two_removers& at;
    model::probe inside;
    bool removed = false;
    bool removes_second;
    listener(two_removers& m, bool removes) : at(m), removes_second(removes) {
      this->fire = [](stop_node<traits>* node) noexcept {
        auto& self = *static_cast<listener*>(node);
        RL_ASSERT(!self.removed);
        RL_ASSERT(self.at.source->stop_requested());
        self.inside.write();
        if (self.removes_second) self.at.remove(*self.at.second);
        RL_ASSERT(!self.removed);
      };
    }
  };
  std::optional<basic_stop_source<traits>> source;
  std::optional<listener> first;
  std::optional<listener> second;
  std::optional<listener> third;

  void before() {
    source.emplace();
    first.emplace(*this, true);
    second.emplace(*this, false);
    third.emplace(*this, false);
    for (auto* each : {&first, &second, &third}) source->token().add(**each);
  }
  void thread(unsigned index) {
    if (index == 0) {
      source->request_stop();
    } else if (index == 1) {
      remove(*second);
    } else {
      remove(*third);
      third->inside.write();
    }
  }
  void remove(listener& which) {
    source->token().remove(which);
    which.removed = true;
  }
  void after() {
    for (auto* each : {&first, &second, &third}) each->reset();
    source.reset();
  }
};

/// Who has removed the last callback destroys the source, while request_stop() returns.
struct source_goes : scenario<source_goes, 2> {
  std::optional<basic_stop_source<traits>> source;
  probe called;
  int calls = 0;

  void before() { source.emplace(); }
  void thread(unsigned index) {
    if (index == 1) {
      source->request_stop();
      return;
    }
    while (!source->stop_requested()) {
      const basic_stop_callback callback(source->token(), [this] {
        called.write();
        ++calls;
      });
      traits::yield();
    }
    called.write();
    RL_ASSERT(calls <= 1);
    source.reset();
  }
};

/// A callback destroys the source that calls it, and itself first.
struct callback_destroys_source : scenario<callback_destroys_source, 2> {
  struct ends {
    callback_destroys_source* at;
    void operator()() const {
      auto* const here = at;  // this is gone in a moment
      here->callback.reset();
      here->source.reset();
    }
  };
  std::optional<basic_stop_source<traits>> source;
  std::optional<basic_stop_callback<traits, ends>> callback;
  bool ready = false;

  void before() {
    source.emplace();
    callback.emplace(source->token(), ends{this});
  }
  void thread(unsigned index) {
    if (index == 0) {
      {
        const basic_stop_callback other(source->token(), [] {});
      }
      ready = true;
    } else {
      while (!ready) traits::yield();
      RL_ASSERT(source->request_stop());
    }
  }
  void after() { RL_ASSERT(!source && !callback); }
};

/// Two stops, each inside a fire() that has removed its node and goes on: with what the other one's owner does,
/// who removes his node once more before he goes.
struct crossing : scenario<crossing, 2> {
  struct node : stop_node<traits> {
    crossing& at;
    unsigned index;
    node(crossing& c, unsigned i) : at(c), index(i) {
      this->fire = [](stop_node<traits>* self) noexcept {
        auto& mine = *static_cast<node*>(self);
        mine.at.fired(mine.index);
      };
    }
  };
  std::optional<basic_stop_source<traits>> sources[2];
  std::optional<node> nodes[2];
  int removed = 0;

  void before() {
    for (unsigned i = 0; i < 2; ++i) {
      sources[i].emplace();
      nodes[i].emplace(*this, i);
      sources[i]->token().add(*nodes[i]);
    }
  }
  void fired(unsigned index) {
    sources[index]->token().remove(*nodes[index]);
    ++removed;
    while (removed != 2) traits::yield();
    sources[1 - index]->token().remove(*nodes[1 - index]);
  }
  void thread(unsigned index) { RL_ASSERT(sources[index]->request_stop()); }
  void after() {
    for (unsigned i = 0; i < 2; ++i) {
      nodes[i].reset();
      sources[i].reset();
    }
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
      if (a <= b) run<3>({role::requests, a, b}, {2, 10000});
    }
  }
  check<two_removers>("two remove one node", {2, 20000});
  check<source_goes>("who removed the last callback destroys the source", {3, 20000});
  check<callback_destroys_source>("a callback destroys the source", {3, 20000});
  check<crossing>("two stops, each inside what the other one waits for", {2, 20000});
  return result();
}
