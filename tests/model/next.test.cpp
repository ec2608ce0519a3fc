// SPDX-License-Identifier: BSL-1.0
//
// Waits for the next publication under every schedule: publications, a stop, another branch of a select, the
// end of the registry. One of them ends each wait, once; who is given a message finds it whole, and none
// twice; and what was destroyed is touched no more.

#include <support/model.hpp>

#include <millrace/callback/next.hpp>
#include <millrace/wait/select.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using traits = model_traits;

/// What is published: watched for races, whole, and alive.
class copied {
 public:
  static inline int alive = 0;
  explicit copied(int id) noexcept : id_(id) {
    ++alive;
    probe_.write();
  }
  copied(const copied& other) noexcept : id_(other.id()) {
    ++alive;
    probe_.write();
  }
  ~copied() {
    probe_.write();
    --alive;
  }
  int id() const noexcept {
    probe_.read();
    return id_;
  }

 private:
  int id_;
  probe probe_;
};

template <class Derived, int Threads>
struct with_registry : scenario<Derived, Threads> {
  using registry = basic_callback_registry<void(const copied&), traits>;
  using result = pop_result<copied>;

  box<registry, 0> r;
  box<registry, 1> other;
  box<basic_stop_source<traits>> halt;
  basic_subscription<traits> s;
  int calls = 0;
  int ends = 0;  // of waits

  void before() {
    copied::alive = 0;
    box<detail::emitters<traits>>().make();
    r.make();
    other.make();
    halt.make();
  }
  void publish(int id) {
    const copied m(id);
    r->publish(m);
  }
  void after() {
    if (is_alive) r.destroy();
    other.destroy();
    halt.destroy();
    s = {};
    detail::emitters<traits>& emitters = *box<detail::emitters<traits>>();
    emitters.collect();
    emitters.clear();
    box<detail::emitters<traits>>().destroy();
    RL_ASSERT(copied::alive == 0);
  }
  bool is_alive = true;
};

/// A thread waits, as long as it is not stopped, twice.
template <int Publishers>
struct waits_twice : with_registry<waits_twice<Publishers>, Publishers + 1> {
  using base = with_registry<waits_twice, Publishers + 1>;
  int left = Publishers;
  void thread(unsigned index) {
    if (index < Publishers) {
      this->publish(1 + 2 * static_cast<int>(index));
      this->publish(2 + 2 * static_cast<int>(index));
      if (--left == 0) this->halt->request_stop();
      return;
    }
    const typename base::result a = next(*this->r).with(this->halt->token()).wait();
    const typename base::result b = next(*this->r).with(this->halt->token()).wait();
    RL_ASSERT(a || a.status() == op_status::cancelled);
    RL_ASSERT(b || b.status() == op_status::cancelled);
    if (!a) RL_ASSERT(!b);
    if (a && b) {
      RL_ASSERT(a->id() != b->id());
      if ((a->id() - 1) / 2 == (b->id() - 1) / 2) RL_ASSERT(a->id() < b->id());
    }
  }
};

/// A wait that only a publication ends, beside one of a select over two registries, beside a stop.
struct select_and_stop : with_registry<select_and_stop, 3> {
  void before() {
    with_registry::before();
    next(*r).start([this](result m) {
      RL_ASSERT(m && m->id() == 1);
      ++ends;
    });
    select(next(*r), next(*other)).with(halt->token()).start([this](auto chosen) {
      ++ends;
      const result& a = chosen.template get<0>();
      const result& b = chosen.template get<1>();
      RL_ASSERT(!(a && b));
      if (a) RL_ASSERT(a->id() == 1 && chosen.index() == 0);
      if (b) RL_ASSERT(b->id() == 2 && chosen.index() == 1);
      if (!a && !b) RL_ASSERT(a.status() == op_status::cancelled);
    });
  }
  void thread(unsigned index) {
    if (index == 0) {
      publish(1);
    } else if (index == 1) {
      const copied m(2);
      other->publish(m);
    } else {
      halt->request_stop();
    }
  }
  void after() {
    RL_ASSERT(ends == 2);
    with_registry::after();
  }
};

/// The registry goes, perhaps after a publication, while a wait is being stopped.
template <bool Publishes, bool Inside>
struct registry_goes : with_registry<registry_goes<Publishes, Inside>, 2> {
  using base = with_registry<registry_goes, 2>;
  using result = typename base::result;
  void before() {
    base::before();
    this->is_alive = false;
    if (Inside) {
      this->s = this->r->subscribe([this](const copied&) {
        next(*this->r).with(this->halt->token()).start([this](result m) {
          RL_ASSERT(m.status() == op_status::closed || m.status() == op_status::cancelled);
          ++this->ends;
        });
        this->r.destroy();
      });
    } else {
      ++this->ends;
    }
    next(*this->r).with(this->halt->token()).start([this](result m) {
      if (m.status() != op_status::cancelled)
        RL_ASSERT(Publishes ? bool(m) : m.status() == op_status::closed);
      ++this->ends;
    });
    next(*this->r).start([this](result m) {
      RL_ASSERT(Publishes ? bool(m) : m.status() == op_status::closed);
      ++this->ends;
    });
  }
  void thread(unsigned index) {
    if (index == 0) {
      if (Publishes) this->publish(1);
      if (!Inside) this->r.destroy();
    } else {
      this->halt->request_stop();
    }
  }
  void after() {
    RL_ASSERT(this->ends == 3);
    base::after();
  }
};

/// A thread that has told another that it waits is not missed.
struct is_seen : with_registry<is_seen, 2> {
  atomic<int> waits{0};
  int got = 0;
  void thread(unsigned index) {
    if (index == 0) {
      next(*r).start([this](result m) { got = m->id(); });
      waits.store(1, std::memory_order_release);
    } else {
      while (waits.load(std::memory_order_acquire) == 0) traits::pause();
      publish(1);
      RL_ASSERT(got == 1);
    }
  }
};

}  // namespace

int main() {
  check<waits_twice<1>>("publish twice, stop | wait twice", {3, 20000});
  check<waits_twice<2>>("publish twice | publish twice, stop | wait twice", {1, 20000});
  check<select_and_stop>("publish | publish to another | stop of a select", {2, 20000});
  check<registry_goes<false, false>>("~registry | stop", {3, 20000});
  check<registry_goes<true, false>>("publish, ~registry | stop", {3, 20000});
  check<registry_goes<true, true>>("~registry inside publish | stop", {3, 20000});
  check<is_seen>("wait, tell | publish", {3, 20000});
  return result();
}
