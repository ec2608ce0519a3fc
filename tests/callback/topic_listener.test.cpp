// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/topic_listener.hpp>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using millrace::subscription;
using millrace::topic_subscribe_options;
using millrace::detail::retained_gate;
using millrace::detail::retained_pointer;
using millrace::detail::retained_value;
using registry = millrace::detail::topic_registry<int>;

/// Subscribes f to all of these.
template <class F>
subscription subscribe(std::vector<registry*> to, F f, topic_subscribe_options<int> how = {}) {
  auto* const l = new millrace::detail::topic_callback<int, F>(std::move(f), std::move(how));
  subscription s(l);
  const auto first = l->first_part();
  for (registry* r : to) l->attach(*r, nullptr);
  return s;
}

}  // namespace

TEST_CASE("a listener is called by all of its registries") {
  registry a;
  registry b;
  std::vector<int> seen;
  auto alive = std::make_shared<int>(0);
  auto s = subscribe({&a, &b}, [&, alive](const int& n) { seen.push_back(n); });
  a.publish(1, nullptr);
  b.publish(2, nullptr);
  CHECK(seen == std::vector<int>{1, 2});
  CHECK(s.disconnect_and_wait());
  CHECK(alive.use_count() == 1);
  a.publish(3, nullptr);
  CHECK(seen.size() == 2);
}

TEST_CASE("a listener outlives the registries that are gone") {
  registry a;
  int calls = 0;
  subscription s;
  bool closed = false;
  {
    registry b;
    s = subscribe({&a, &b}, [&](int) { ++calls; });
  }
  s.closed().start([&](millrace::op_status) { closed = true; });
  a.publish(1, nullptr);
  CHECK(calls == 1);
  CHECK_FALSE(closed);
  s.disconnect();
  CHECK(closed);
}

TEST_CASE("a listener is closed with the last of its registries") {
  bool closed = false;
  subscription s;
  {
    registry a;
    registry b;
    s = subscribe({&a, &b}, [](int) {});
    s.closed().start([&](millrace::op_status) { closed = true; });
  }
  CHECK(closed);
}

TEST_CASE("options hold for all registries together") {
  registry a;
  registry b;
  std::vector<int> seen;
  const auto see = [&](int n) { seen.push_back(n); };
  topic_subscribe_options<int> how;
  SECTION("one_shot is called once") {
    how.one_shot = true;
    const auto s = subscribe({&a, &b}, see, std::move(how));
    a.publish(1, nullptr);
    a.publish(2, nullptr);
    b.publish(3, nullptr);
    CHECK(seen == std::vector<int>{1});
  }
  SECTION("a one_shot waits for its filter") {
    how.one_shot = true;
    how.filter = [](const int& n) { return n > 1; };
    const auto s = subscribe({&a, &b}, see, std::move(how));
    for (int n = 0; n < 5; ++n) b.publish(n, nullptr);
    CHECK(seen == std::vector<int>{2});
  }
  SECTION("a one_shot is called once, although its filter publishes") {
    how.one_shot = true;
    bool is_first = true;
    how.filter = [&](const int& n) {
      if (std::exchange(is_first, false)) a.publish(n + 1, nullptr);
      return true;
    };
    const auto s = subscribe({&a, &b}, see, std::move(how));
    a.publish(1, nullptr);
    CHECK(seen == std::vector<int>{2});
  }
  SECTION("a lifetime that has expired disconnects") {
    auto alive = std::make_shared<int>(0);
    how.lifetime = alive;
    const auto s = subscribe({&a, &b}, see, std::move(how));
    a.publish(1, nullptr);
    alive.reset();
    b.publish(2, nullptr);
    CHECK(seen == std::vector<int>{1});
    CHECK(s.closed().wait() == millrace::op_status::ok);
  }
  SECTION("priority") {
    const auto last = subscribe({&a}, see);
    how.priority = 1;
    const auto first = subscribe({&a}, [&](int n) { seen.push_back(-n); }, std::move(how));
    a.publish(1, nullptr);
    CHECK(seen == std::vector<int>{-1, 1});
  }
  SECTION("blocked, it is called by none") {
    auto s = subscribe({&a, &b}, see);
    CHECK(s.block());
    a.publish(1, nullptr);
    b.publish(2, nullptr);
    CHECK(s.unblock());
    b.publish(3, nullptr);
    CHECK(seen == std::vector<int>{3});
  }
}

TEST_CASE("a listener that is disconnected is not attached any more") {
  registry a;
  int calls = 0;
  const auto f = [&](int) { ++calls; };
  using call = std::remove_const_t<decltype(f)>;
  auto* const l = new millrace::detail::topic_callback<int, call>(call(f), {});
  subscription s(l);
  {
    const auto first = l->first_part();
    s.disconnect();
    l->attach(a, nullptr);
    l->begin_bus_part();
    a.publish(1, nullptr);
  }
  CHECK(calls == 0);
  CHECK(s.closed().wait() == millrace::op_status::ok);
}

TEST_CASE("a gate keeps messages back that were retained") {
  registry a;
  retained_value<int> v;
  std::vector<int> seen;
  const auto f = [&](int n) { seen.push_back(n); };
  using see = std::remove_const_t<decltype(f)>;
  auto* const l = new millrace::detail::topic_callback<int, see>(see(f), {});
  const subscription s(l);
  const auto first = l->first_part();
  auto gate = std::make_shared<retained_gate<int>>();
  l->attach(a, gate);
  const retained_pointer<int> one = v.keep(1);
  a.publish(1, &one);
  CHECK(seen.empty());
  a.publish(9, nullptr);  // is not retained
  CHECK(seen == std::vector<int>{9});
  gate->open(v, f);
  a.publish(1, &one);
  CHECK(seen == std::vector<int>{9, 1});
  const retained_pointer<int> two = v.keep(2);
  a.publish(2, &two);
  CHECK(seen == std::vector<int>{9, 1, 2});
}

TEST_CASE("a callable is destroyed by who owns its subscription, and may own it itself") {
  registry a;
  int calls = 0;
  auto s = std::make_shared<subscription>();
  *s = subscribe({&a}, [&calls, s](int) {
    ++calls;
    s->disconnect();
  });
  const std::weak_ptr<subscription> gone = s;
  auto closed = s->closed();
  s.reset();
  a.publish(1, nullptr);
  a.publish(1, nullptr);
  CHECK(std::move(closed).wait() == millrace::op_status::ok);
  CHECK(calls == 1);
  CHECK(gone.expired());
}
