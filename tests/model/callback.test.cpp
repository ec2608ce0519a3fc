// SPDX-License-Identifier: BSL-1.0
//
// Callbacks under every schedule: publish beside subscribe, disconnect, a wait for the end, block, and the end
// of the registry. No callback starts once somebody has waited for its end; who waits is woken; what was
// disconnected is freed, and not while an emission may find it.

#include <support/model.hpp>

#include <optional>

#include <millrace/callback/callback_registry.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

struct asymmetric_traits : model_traits {
  using fence = asymmetric_fence;
};
struct symmetric_traits : model_traits {
  using fence = symmetric_fence;
};
struct untidy_traits : asymmetric_traits {  // nothing is reclaimed, hence nobody fences for that
  static constexpr std::size_t least_retired = 100;
};

struct crowded_traits : asymmetric_traits {  // more threads than bits: they share one
  static constexpr unsigned own_reader_bits = 0;
};

/// The holders of a state see what each did before it let go, whoever is the last.
struct held : scenario<held, 3> {
  struct state : detail::basic_subscription_state<model_traits> {
    probe used;
    void disconnect() noexcept override {}
    void wait() noexcept override {}
    void destroy() noexcept override { used.write(); }
  };
  state all;

  void before() { all.retain(); }
  void thread(unsigned) {
    all.used.read();
    all.release();
  }
};

/// One registry, and what its callbacks share with who waits for their end.
template <class Traits, class Derived, int Threads>
struct with_registry : scenario<Derived, Threads> {
  using registry = basic_callback_registry<void(int), Traits>;
  using subscription = basic_subscription<Traits>;

  /// A callback is called while this lives, and touched only then.
  struct target {
    probe used;
    bool is_over = false;
    int calls = 0;
    int dropped = 0;
    int in_haste = 0;  // so many calls make no pause
  };
  class callback {
   public:
    explicit callback(target& t) : at_(&t) {}
    callback(callback&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
    callback& operator=(callback&&) = delete;
    ~callback() {
      if (at_ == nullptr) return;
      life_.check(here());
      ++at_->dropped;
    }
    void operator()(int) {
      life_.check(here());
      RL_ASSERT(!at_->is_over);
      RL_ASSERT(at_->dropped == 0);
      at_->used.read();
      if (++at_->calls > at_->in_haste) Traits::pause();  // another thread may go on here
      RL_ASSERT(!at_->is_over);
      at_->used.read();
    }

   private:
    target* at_;
    life_mark life_;
  };

  box<registry> all;
  target a;
  target b;
  subscription s;
  subscription t;

  void before() {
    box<detail::emitters<Traits>>().make();
    all.make();
    s = all->subscribe(callback(a));
  }
  /// Nobody calls it any more.
  static void over(target& at) {
    at.is_over = true;
    at.used.write();
  }
  void after() {
    if (is_registry_alive) all.destroy();
    s = subscription();
    t = subscription();
    detail::emitters<Traits>& emitters = *box<detail::emitters<Traits>>();
    emitters.collect();
    emitters.clear();
    box<detail::emitters<Traits>>().destroy();
    RL_ASSERT(a.dropped == 1);
  }
  bool is_registry_alive = true;
};

template <class Traits, int Publishers>
struct publish_and_wait : with_registry<Traits, publish_and_wait<Traits, Publishers>, Publishers + 1> {
  void thread(unsigned index) {
    if (index < Publishers) {
      this->all->publish(1);
    } else {
      RL_ASSERT(this->s.disconnect_and_wait());
      RL_ASSERT(this->a.dropped == 1);
      this->over(this->a);
    }
  }
};

/// The second time the publisher takes the short way to the only listener.
template <class Traits>
struct publish_again_and_wait : with_registry<Traits, publish_again_and_wait<Traits>, 2> {
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
      this->all->publish(1);
    } else {
      RL_ASSERT(this->s.disconnect_and_wait());
      this->over(this->a);
    }
  }
};

/// Who waits has published here, too.
template <class Traits>
struct publish_both_and_wait : with_registry<Traits, publish_both_and_wait<Traits>, 2> {
  void thread(unsigned index) {
    this->all->publish(1);
    if (index == 0) return;
    RL_ASSERT(this->s.disconnect_and_wait());
    this->over(this->a);
  }
};

/// Who has published elsewhere is not yet known to be a reader of this registry.
template <class Traits, int Publishers>
struct publish_elsewhere_and_wait
    : with_registry<Traits, publish_elsewhere_and_wait<Traits, Publishers>, Publishers + 1> {
  using base = with_registry<Traits, publish_elsewhere_and_wait, Publishers + 1>;
  box<typename base::registry, 1> other;
  void before() {
    base::before();
    other.make();
    this->t = other->subscribe(typename base::callback(this->b));
  }
  void thread(unsigned index) {
    if (index < Publishers) {
      if (index == 0) other->publish(1);
      this->all->publish(1);
    } else {
      RL_ASSERT(this->s.disconnect_and_wait());
      this->over(this->a);
    }
  }
  void after() {
    other.destroy();
    base::after();
  }
};

/// Who finds that it has ended sees what came before the disconnect: where nobody has to fence for anything, and
/// it looks before it lists itself.
template <class Traits>
struct disconnect_and_closed : with_registry<Traits, disconnect_and_closed<Traits>, 2> {
  void thread(unsigned index) {
    if (index == 0) {
      this->a.used.write();
      this->s.disconnect();
    } else {
      auto step = detail::operation_access::take_step(this->s.closed());
      while (!step.attempt()) Traits::yield();
      this->over(this->a);
    }
  }
};

/// Publishers | disconnect | another waits for the end.
template <class Traits>
struct publish_disconnect_and_closed : with_registry<Traits, publish_disconnect_and_closed<Traits>, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
    } else if (index == 1) {
      this->s.disconnect();
    } else {
      RL_ASSERT(this->s.closed().wait() == op_status::ok);
      this->over(this->a);
    }
  }
};

/// Two wait, of whom one gives up.
template <class Traits>
struct closed_is_stopped : with_registry<Traits, closed_is_stopped<Traits>, 3> {
  box<basic_stop_source<Traits>> halt;
  void before() {
    with_registry<Traits, closed_is_stopped, 3>::before();
    halt.make();
  }
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
      halt->request_stop();
    } else if (index == 1) {
      RL_ASSERT(this->s.disconnect_and_wait());
      this->over(this->a);
    } else {
      const op_status how = this->s.closed().with(halt->token()).wait();
      RL_ASSERT(how == op_status::ok || how == op_status::cancelled);
      if (how == op_status::ok) RL_ASSERT(this->a.dropped == 1);
    }
  }
  void after() {
    halt.destroy();
    with_registry<Traits, closed_is_stopped, 3>::after();
  }
};

/// Twice the same emission, two listeners; they are disconnected, and their memory is given back.
template <class Traits, int Publishers>
struct publish_and_reclaim : with_registry<Traits, publish_and_reclaim<Traits, Publishers>, Publishers + 1> {
  using base = with_registry<Traits, publish_and_reclaim, Publishers + 1>;
  void before() {
    base::before();
    this->t = this->all->subscribe(typename base::callback(this->b));
  }
  void thread(unsigned index) {
    if (index < Publishers) {
      this->all->publish(1);
    } else {
      this->s.disconnect();
      this->s = {};
      this->over(this->a);
      this->t.disconnect();
    }
  }
};

/// A thread that has published here before does it again, and so begins after the time of what is reclaimed.
template <class Traits>
struct publish_again_and_reclaim : with_registry<Traits, publish_again_and_reclaim<Traits>, 2> {
  using base = with_registry<Traits, publish_again_and_reclaim, 2>;
  void before() {
    base::before();
    this->a.in_haste = 1;  // in the checker, who has paused sees no older value than before
  }
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
      this->all->publish(1);
    } else {
      this->s.disconnect();
      this->s = {};
      this->over(this->a);
    }
  }
};

/// A thread that ends leaves its emitter to another: who finds it with the other sees what the first one did.
template <class Traits>
struct publish_in_turn_and_reclaim : with_registry<Traits, publish_in_turn_and_reclaim<Traits>, 3> {
  void thread(unsigned index) {
    if (index < 2) {
      Traits::this_thread().is_ending = true;  // so that it gives it up after each emission
      this->all->publish(1);
    } else {
      this->s.disconnect();
      this->s = {};
      this->over(this->a);
    }
  }
};

/// The first listener comes while two publish, of whom one has published elsewhere.
template <class Traits>
struct publish_and_subscribe_first : with_registry<Traits, publish_and_subscribe_first<Traits>, 3> {
  using base = with_registry<Traits, publish_and_subscribe_first, 3>;
  box<typename base::registry, 1> other;
  void before() {
    base::before();
    other.make();
  }
  void thread(unsigned index) {
    if (index == 2) {
      this->t = other->subscribe(typename base::callback(this->b));
    } else {
      if (index == 0) this->all->publish(1);
      other->publish(1);
    }
  }
  void after() {
    RL_ASSERT(this->b.calls <= 2);
    other.destroy();
    base::after();
    RL_ASSERT(this->b.dropped == 1);
  }
};

/// The list is replaced while somebody reads it, by who is first now.
template <class Traits>
struct publish_and_subscribe : with_registry<Traits, publish_and_subscribe<Traits>, 3> {
  using base = with_registry<Traits, publish_and_subscribe, 3>;
  void thread(unsigned index) {
    if (index < 2) {
      this->all->publish(1);
      if (index == 1) this->all->publish(1);
    } else {
      this->t = this->all->subscribe(typename base::callback(this->b), {.priority = 1});
      this->all->publish(1);
      RL_ASSERT(this->b.calls > 0);
      this->t = {};
      this->over(this->b);
    }
  }
  void after() {
    RL_ASSERT(this->a.calls == 4);
    base::after();
    RL_ASSERT(this->b.dropped == 1);
  }
};

/// A callback publishes, on a registry that calls it again; another thread waits for the end.
template <class Traits>
struct nested_and_wait : with_registry<Traits, nested_and_wait<Traits>, 2> {
  using base = with_registry<Traits, nested_and_wait, 2>;
  void before() {
    base::before();
    this->t =
        this->all->subscribe([this, outer = typename base::callback(this->b), depth = 0](int n) mutable {
          if (++depth == 1) this->all->publish(2);
          --depth;
          outer(n);
        });
  }
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
    } else {
      RL_ASSERT(this->t.disconnect_and_wait());
      this->over(this->b);
      RL_ASSERT(this->s.disconnect_and_wait());
      this->over(this->a);
    }
  }
};

/// A callback disconnects itself, or the other; the other thread waits for the end of that one.
template <class Traits, bool Itself>
struct disconnects_inside : with_registry<Traits, disconnects_inside<Traits, Itself>, 3> {
  using base = with_registry<Traits, disconnects_inside, 3>;
  void before() {
    base::before();
    this->t = this->all->subscribe([this, it = typename base::callback(this->b)](int n) mutable {
      (Itself ? this->t : this->s).disconnect();
      RL_ASSERT(!this->s.disconnect_and_wait());
      it(n);
    });
  }
  void thread(unsigned index) {
    if (index < 2) {
      this->all->publish(1);
    } else {
      RL_ASSERT(this->s.closed().wait() == op_status::ok);
      this->over(this->a);
    }
  }
};

/// The registry goes while a disconnect is in progress; before, and from inside a callback.
template <class Traits, bool Inside>
struct registry_goes : with_registry<Traits, registry_goes<Traits, Inside>, 3> {
  using base = with_registry<Traits, registry_goes, 3>;
  void before() {
    base::before();
    this->is_registry_alive = false;
    if (Inside) {
      this->t = this->all->subscribe([this, it = typename base::callback(this->b)](int n) mutable {
        this->all.destroy();
        it(n);
      });
    }
  }
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
      if (!Inside) this->all.destroy();
      RL_ASSERT(this->s.closed().wait() == op_status::ok);
    } else if (index == 1) {
      this->s.disconnect();
    } else {
      RL_ASSERT(this->s.closed().wait() == op_status::ok);
    }
  }
};

/// A callback of another registry keeps the memory of one that goes.
template <class Traits>
struct registry_leaves_orphans : with_registry<Traits, registry_leaves_orphans<Traits>, 3> {
  using base = with_registry<Traits, registry_leaves_orphans, 3>;
  box<typename base::registry, 1> other;
  void before() {
    base::before();
    other.make();
    this->t = other->subscribe(typename base::callback(this->b));
  }
  void thread(unsigned index) {
    if (index == 0) {
      other->publish(1);
    } else if (index == 1) {
      this->all->publish(1);
      this->all.destroy();
      this->is_registry_alive = false;
    } else {
      this->s.disconnect();
    }
  }
  void after() {
    other.destroy();
    base::after();
  }
};

/// Of two emissions, one calls it.
template <class Traits>
struct one_shot : with_registry<Traits, one_shot<Traits>, 3> {
  using base = with_registry<Traits, one_shot, 3>;
  void before() {
    base::before();
    this->t = this->all->subscribe(typename base::callback(this->b), {.one_shot = true});
  }
  void thread(unsigned index) {
    if (index < 2) {
      this->all->publish(1);
      RL_ASSERT(this->b.calls == 1 || !this->t.block());
    } else {
      RL_ASSERT(this->t.closed().wait() == op_status::ok);
      RL_ASSERT(this->b.calls == 1);
      this->over(this->b);
    }
  }
};

/// Blocked and unblocked while it is called and disconnected.
template <class Traits>
struct blocks : with_registry<Traits, blocks<Traits>, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      this->all->publish(1);
    } else if (index == 1) {
      if (this->s.block()) this->s.unblock();
    } else {
      RL_ASSERT(this->s.closed().wait() == op_status::ok);
      this->over(this->a);
      return;
    }
    if (index == 1) this->s.disconnect();
  }
};

template <class Traits>
void all() {
  check<publish_and_wait<Traits, 1>>("publish | disconnect_and_wait", {3, 20000});
  check<publish_and_wait<Traits, 2>>("publish | publish | disconnect_and_wait", {2, 20000});
  check<publish_again_and_wait<Traits>>("publish twice | disconnect_and_wait", {2, 20000});
  check<publish_elsewhere_and_wait<Traits, 1>>("publish elsewhere and here | disconnect_and_wait",
                                               {2, 20000});
  check<disconnect_and_closed<Traits>>("disconnect | closed", {2, 1000});
  check<publish_disconnect_and_closed<Traits>>("publish | disconnect | closed", {2, 20000});
  check<closed_is_stopped<Traits>>("publish, stop | disconnect_and_wait | closed", {2, 20000});
  check<publish_and_reclaim<Traits, 1>>("publish | disconnect twice, reclaim", {2, 20000});
  check<publish_and_reclaim<Traits, 2>>("publish | publish | disconnect twice, reclaim", {1, 20000});
  check<publish_again_and_reclaim<Traits>>("publish twice | disconnect, reclaim", {2, 5000});
  check<publish_and_subscribe<Traits>>("publish | publish twice | subscribe, publish", {1, 20000});
  check<nested_and_wait<Traits>>("publish inside | disconnect_and_wait", {2, 20000});
  check<disconnects_inside<Traits, true>>("publish disconnects itself | the same | closed", {1, 20000});
  check<disconnects_inside<Traits, false>>("publish disconnects another | the same | closed", {1, 20000});
  check<registry_goes<Traits, false>>("publish, ~registry | disconnect | closed", {2, 20000});
  check<registry_goes<Traits, true>>("~registry inside publish | disconnect | closed", {2, 20000});
  check<registry_leaves_orphans<Traits>>("publish, another | ~registry | disconnect", {1, 20000});
  check<one_shot<Traits>>("publish once | publish once | closed", {2, 20000});
  check<blocks<Traits>>("publish | block, unblock, disconnect | closed", {2, 20000});
}

}  // namespace

int main() {
  check<held>("release | release | release", {3, 0});
  std::printf("fences of the language\n");
  check<publish_in_turn_and_reclaim<symmetric_traits>>("publish, end | publish, end | disconnect, reclaim",
                                                       {2, 5000});
  all<symmetric_traits>();
  std::printf("a fence of all threads\n");
  check<publish_and_wait<untidy_traits, 2>>("publish | publish | disconnect_and_wait, nothing reclaimed",
                                            {2, 5000});
  all<asymmetric_traits>();
  std::printf("threads that share a bit\n");
  check<publish_and_wait<crowded_traits, 2>>("publish | publish | disconnect_and_wait", {2, 5000});
  check<publish_both_and_wait<crowded_traits>>("publish | publish, disconnect_and_wait", {3, 2000});
  check<publish_elsewhere_and_wait<crowded_traits, 2>>(
      "publish elsewhere and here | publish | disconnect_and_wait", {1, 20000});
  check<publish_and_subscribe_first<crowded_traits>>("publish elsewhere and here | publish | subscribe",
                                                     {2, 20000});
  return result();
}
