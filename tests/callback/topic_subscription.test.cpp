// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/topic_subscription.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include <millrace/callback/callback_registry.hpp>

#include "support/catch.hpp"

namespace {

using base = millrace::detail::topic_subscription;
using millrace::subscription;
using registry = millrace::callback_registry<void(int)>;

struct fake final : base {
  explicit fake(int& d) : drops(d) {}
  int& drops;
  void drop() noexcept override { ++drops; }
};

/// Lists a child in a registry, as a topic does.
template <class F>
void attach(base& to, registry& r, F f) {
  auto part = to.another_part();
  if (!part) return;
  auto c = std::make_unique<base::child>();
  c->listener = r.subscribe([part = std::move(part), f](int n) { f(n); });
  to.add(std::move(c));
  to.settle();
}

}  // namespace

TEST_CASE("one subscription stands for several listeners") {
  registry a;
  registry b;
  int drops = 0;
  int calls = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  {
    const auto first = l->first_part();
    attach(*l, a, [&](int) { ++calls; });
    attach(*l, b, [&](int) { ++calls; });
  }
  a.publish(1);
  b.publish(1);
  CHECK(calls == 2);
  SECTION("disconnecting it disconnects all, and destroys the callable when it has waited") {
    CHECK(s.disconnect_and_wait());
    CHECK(drops == 1);
    a.publish(1);
    b.publish(1);
    CHECK(calls == 2);
  }
  SECTION("so does its end") {
    s = subscription();
    CHECK(drops == 1);
    a.publish(1);
    CHECK(calls == 2);
  }
  SECTION("who waits that it is closed sees to it") {
    s.disconnect();
    CHECK(s.closed().wait() == millrace::op_status::ok);
    CHECK(drops == 1);
  }
  SECTION("who waited before it was disconnected is woken") {
    std::atomic<bool> closed{false};
    s.closed().start([&](millrace::op_status) { closed.store(true); });
    CHECK_FALSE(closed.load());
    s.disconnect();
    CHECK(closed.load());
    CHECK(drops == 1);
  }
  SECTION("a listener that comes too late is sought, too") {
    std::atomic<bool> closed{false};
    {
      const auto late = l->another_part();
      s.disconnect();
      s.closed().start([&](millrace::op_status) { closed.store(true); });
      l->settle();
      CHECK_FALSE(closed.load());
    }
    CHECK(closed.load());
  }
  SECTION("it takes no more listeners then") {
    s.disconnect();
    CHECK_FALSE(l->another_part());
    CHECK(l->is_disconnected());
    CHECK_FALSE(l->disconnect_once());
  }
}

TEST_CASE("a part keeps a subscription from closing") {
  int drops = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  const base::holder held(*l);
  {
    auto first = l->first_part();
    bool waited = false;
    std::thread waiting([&] { waited = s.disconnect_and_wait(); });
    while (!l->is_disconnected()) std::this_thread::yield();
    CHECK(drops == 0);
    CHECK_FALSE(l->is_closed());
    {
      const auto moved = std::move(first);
    }
    waiting.join();
    CHECK(waited);
  }
  CHECK(drops == 1);
  CHECK(l->is_closed());
}

TEST_CASE("a bus's part ends with the subscription, or with the bus") {
  int drops = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  const base::holder held(*l);
  {
    const auto first = l->first_part();
    l->begin_bus_part();
  }
  CHECK(drops == 0);
  SECTION("the subscription") {
    s.disconnect();
  }
  SECTION("the bus") {
    l->end_bus_part();
  }
  CHECK(drops == 1);
  l->end_bus_part();
  s.disconnect();
  CHECK(drops == 1);
}

TEST_CASE("a listener that is added too late is disconnected") {
  registry a;
  int drops = 0;
  int calls = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  {
    const auto first = l->first_part();
    auto part = l->another_part();
    s.disconnect();
    auto c = std::make_unique<base::child>();
    c->listener = a.subscribe([part = std::move(part), &calls](int) { ++calls; });
    l->add(std::move(c));
    l->settle();
    a.publish(1);
  }
  CHECK(calls == 0);
  CHECK(s.disconnect_and_wait());
  CHECK(drops == 1);
}

TEST_CASE("nobody waits from inside a callback") {
  registry a;
  int drops = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  bool waited = true;
  {
    const auto first = l->first_part();
    attach(*l, a, [&](int) { waited = s.disconnect_and_wait(); });
  }
  a.publish(1);
  CHECK_FALSE(waited);
  CHECK(s.disconnect_and_wait());
  CHECK(drops == 1);
}

TEST_CASE("blocking is remembered until the subscription is disconnected") {
  int drops = 0;
  auto* const l = new fake(drops);
  subscription s(l);
  {
    const auto first = l->first_part();
    CHECK(s.block());
    CHECK(l->is_blocked());
    CHECK(s.unblock());
    CHECK_FALSE(l->is_blocked());
    s.disconnect();
    CHECK_FALSE(s.block());
  }
}
