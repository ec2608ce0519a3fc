// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/message_bus.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using millrace::message_bus;
using millrace::subscription;
using strings = std::vector<std::string>;

struct order {
  int id = 0;
};

template <class E, class F>
std::string thrown(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a topic of a bus is the same for all who name it") {
  message_bus bus;
  const auto a = bus.topic<int>("a/b");
  CHECK(a.name() == "a/b");
  int sum = 0;
  const auto s = bus.topic<int>("a/b").subscribe([&](int n) { sum += n; });
  a.publish(1);
  bus.publish("a/b", 2);
  bus.publish("a/c", 4);
  bus.publish<int>("a/b", 'a' - 'a');
  CHECK(sum == 3);
}

TEST_CASE("one may subscribe before there is a topic") {
  message_bus bus;
  std::vector<int> ids;
  const auto s = bus.subscribe<order>("orders/eu", [&](const order& o) { ids.push_back(o.id); });
  bus.topic<order>("orders/eu").publish({1});
  bus.publish("orders/eu", order{2});
  bus.publish("orders/us", order{3});
  CHECK(ids == std::vector<int>{1, 2});
}

TEST_CASE("a topic with messages of another type is an error that names all of them") {
  message_bus bus;
  (void)bus.topic<order>("orders/eu");
  for (const std::string& said :
       {thrown<millrace::topic_type_error>([&] { (void)bus.topic<int>("orders/eu"); }),
        thrown<millrace::topic_type_error>([&] { bus.publish("orders/eu", 1); }),
        thrown<millrace::topic_type_error>([&] { (void)bus.subscribe<int>("orders/eu", [](int) {}); })}) {
    INFO(said);
    CHECK(said.find("\"orders/eu\"") != std::string::npos);
    CHECK(said.find("order,") != std::string::npos);
    CHECK(said.find("not of type int") != std::string::npos);
  }
  CHECK_NOTHROW(bus.publish("orders/eu", order{}));
  const auto s = bus.subscribe<int>("orders/*", [](int) {});  // matches none of that type
  CHECK_NOTHROW(bus.publish("orders/eu", order{}));
}

TEST_CASE("what is no name, or no pattern, is refused with its text") {
  message_bus bus;
  for (const char* text : {"", "a//b", "/a", "a/", "#/x", "a/*", "#"}) {
    INFO(text);
    CHECK(thrown<std::invalid_argument>([&] {
            (void)bus.topic<int>(text);
          }).find('"' + std::string(text) + '"') != std::string::npos);
    CHECK(thrown<std::invalid_argument>([&] { bus.publish(text, 1); }).find("name") != std::string::npos);
  }
  for (const char* text : {"", "a//b", "#/x", "a*"}) {
    INFO(text);
    CHECK(thrown<std::invalid_argument>([&] {
            (void)bus.subscribe<int>(text, [](int) {});
          }).find('"' + std::string(text) + "\" is no topic pattern") != std::string::npos);
  }
}

TEST_CASE("a pattern is for all topics that match, made before or later") {
  message_bus bus;
  const auto eu = bus.topic<order>("orders/eu");
  std::vector<int> one_level;
  std::vector<int> all_levels;
  auto s1 = bus.subscribe<order>("orders/*", [&](const order& o) { one_level.push_back(o.id); });
  const auto s2 = bus.subscribe<order>("orders/#", [&](const order& o) { all_levels.push_back(o.id); });
  eu.publish({1});
  bus.publish("orders/us", order{2});
  bus.publish("orders", order{3});
  bus.publish("orders/us/new", order{4});
  bus.publish("other/us", order{5});
  bus.publish("orders/text", std::string("not an order"));
  CHECK(one_level == std::vector<int>{1, 2});
  CHECK(all_levels == std::vector<int>{1, 2, 3, 4});
  SECTION("disconnecting disconnects everywhere") {
    CHECK(s1.disconnect_and_wait());
    eu.publish({6});
    bus.publish("orders/us", order{7});
    bus.publish("orders/asia", order{8});
    CHECK(one_level.size() == 2);
    CHECK(all_levels.size() == 7);
  }
  SECTION("one_shot is called once by all of them") {
    int calls = 0;
    auto s3 = bus.subscribe<order>("#", [&](const order&) { ++calls; }, {.one_shot = true});
    bus.publish("a", order{});
    bus.publish("orders/us", order{});
    bus.publish("b", order{});
    CHECK(calls == 1);
    CHECK(s3.closed().wait() == millrace::op_status::ok);
  }
}

TEST_CASE("`retain` holds from when it is asked for, whoever has made the topic") {
  message_bus bus;
  strings seen;
  const auto early =
      bus.subscribe<std::string>("state", [&](const std::string& m) { seen.push_back("early " + m); });
  const auto state = bus.topic<std::string>("state", {.retain = true});
  state.publish("up");
  const auto late =
      bus.subscribe<std::string>("state", [&](const std::string& m) { seen.push_back("late " + m); });
  state.publish("down");
  CHECK(seen == strings{"early up", "late up", "early down", "late down"});
}

TEST_CASE("a pattern gets what all its topics retain, in the order of their names") {
  message_bus bus;
  for (const char* name : {"s/c", "s/a", "s/b", "t/a"})
    bus.topic<std::string>(name, {.retain = true}).publish(name);
  bus.topic<std::string>("s/none", {.retain = true});
  bus.publish<std::string>("s/plain", "lost");
  strings seen;
  const auto s = bus.subscribe<std::string>("s/*", [&](const std::string& m) { seen.push_back(m); });
  CHECK(seen == strings{"s/a", "s/b", "s/c"});
  bus.publish<std::string>("s/a", "next");
  bus.topic<std::string>("s/new", {.retain = true}).publish("new");
  CHECK(seen == strings{"s/a", "s/b", "s/c", "next", "new"});
}

TEST_CASE("subscriptions and handles may outlive the bus") {
  std::optional<message_bus> bus(std::in_place);
  int calls = 0;
  const auto kept = bus->topic<int>("a/kept");
  auto exact = bus->subscribe<int>("a/gone", [&](int) { ++calls; });
  auto owned = bus->subscribe<int>("a/gone", [&](int) { ++calls; }, {.owner = &calls});
  auto pattern = bus->subscribe<int>("a/*", [&](int) { ++calls; });
  auto nowhere = bus->subscribe<int>("b/*", [&](int) { ++calls; });
  bus->publish("a/gone", 1);
  CHECK(calls == 3);
  bus.reset();
  CHECK(exact.closed().wait() == millrace::op_status::ok);
  CHECK(owned.closed().wait() == millrace::op_status::ok);
  CHECK(nowhere.closed().wait() == millrace::op_status::ok);
  kept.publish(1);
  CHECK(calls == 4);
  const auto more = kept.subscribe([&](int) { ++calls; });
  kept.publish(1);
  CHECK(calls == 6);
  CHECK(pattern.disconnect_and_wait());
  kept.publish(1);
  CHECK(calls == 7);
}

TEST_CASE("all of one owner are disconnected, wherever they were subscribed") {
  message_bus bus;
  const auto a = bus.topic<int>("a");
  int mine = 0;
  int others = 0;
  std::vector<subscription> all;
  all.push_back(a.subscribe([&](int) { ++mine; }, {.owner = &mine}));
  all.push_back(bus.subscribe<int>("b", [&](int) { ++mine; }, {.owner = &mine}));
  all.push_back(bus.subscribe<int>("*", [&](int) { ++mine; }, {.owner = &mine}));
  all.push_back(bus.subscribe<order>("#", [&](const order&) { ++mine; }, {.owner = &mine}));
  all.push_back(bus.subscribe<int>("*", [&](int) { ++others; }, {.owner = &others}));
  all.push_back(bus.subscribe<int>("a", [&](int) { ++others; }));
  a.publish(1);
  bus.publish("b", 1);
  bus.publish("c", order{});
  CHECK(mine == 5);
  CHECK(others == 3);
  CHECK(bus.disconnect_all(&mine));
  CHECK(bus.disconnect_all(&mine));
  a.publish(1);
  bus.publish("b", 1);
  bus.publish("c", order{});
  bus.publish("d", 1);
  CHECK(mine == 5);
  CHECK(others == 7);
  SECTION("inside a callback it does not wait, and says so") {
    bool waited = true;
    all.push_back(a.subscribe(
        [&](int) {
          ++mine;
          waited = bus.disconnect_all(&mine);
        },
        {.owner = &mine}));
    a.publish(1);
    a.publish(1);
    CHECK(mine == 6);
    CHECK_FALSE(waited);
  }
  SECTION("also where a retained message is given") {
    const auto r = bus.topic<int>("r", {.retain = true});
    r.publish(1);
    r.publish(2);
    bool waited = true;
    all.push_back(r.subscribe(
        [&](int) {
          ++mine;
          waited = bus.disconnect_all(&mine);
        },
        {.owner = &mine}));
    r.publish(3);
    CHECK(mine == 6);
    CHECK_FALSE(waited);
  }
}

TEST_CASE("a topic's disconnect_all leaves the owner's other topics alone") {
  message_bus bus;
  const auto a = bus.topic<int>("a");
  const auto b = bus.topic<int>("b");
  std::string order;
  const subscription sa = a.subscribe([&](int) { order += 'a'; }, {.owner = &order});
  const subscription sb = b.subscribe([&](int) { order += 'b'; }, {.owner = &order});
  CHECK(a.disconnect_all(&order));
  a.publish(1);
  b.publish(1);
  CHECK(order == "b");
}

TEST_CASE("disconnect_all waits for a callback on another thread") {
  message_bus bus;
  const auto a = bus.topic<int>("a/b");
  std::atomic<int> phase{0};
  const auto s = bus.subscribe<int>("a/*",
                                    [&](int) {
                                      phase.store(1);
                                      while (phase.load() != 2) std::this_thread::yield();
                                      for (int i = 0; i < 100; ++i) std::this_thread::yield();
                                      phase.store(3);
                                    },
                                    {.owner = &bus});
  std::thread publisher([&] { a.publish(1); });
  while (phase.load() != 1) std::this_thread::yield();
  phase.store(2);
  const bool waited = bus.disconnect_all(&bus);
  const int seen = phase.load();
  publisher.join();
  CHECK(waited);
  CHECK(seen == 3);
}

TEST_CASE("a callback may do anything with the bus") {
  message_bus bus;
  std::vector<subscription> more;
  int inner = 0;
  int outer = 0;
  std::optional<subscription> self;
  self.emplace(bus.subscribe<int>("a/*", [&](int n) {
    ++outer;
    if (n == 0) {
      more.push_back(bus.subscribe<int>("a/#", [&](int) { ++inner; }));
      more.push_back(bus.subscribe<int>("a/new", [&](int) { ++inner; }));
      const auto made = bus.topic<int>("a/made");
      made.publish(1);          // this one, and the pattern
      bus.publish("a/new", 2);  // the same, and the one by name
    } else if (n == 3) {
      more.front().disconnect();
    } else if (n == 4) {
      self.reset();
      bus.publish("a/x", 5);
    }
  }));
  bus.publish("a/x", 0);
  CHECK(outer == 3);
  CHECK(inner == 3);
  bus.publish("a/x", 3);
  CHECK(inner == 3);
  bus.publish("a/made", 1);
  CHECK(inner == 3);
  CHECK(outer == 5);
  bus.publish("a/x", 4);
  CHECK(outer == 6);
  bus.publish("a/made", 1);
  CHECK(outer == 6);
}

TEST_CASE("what a callable's destruction does with the bus finds no lock") {
  message_bus bus;
  (void)bus.topic<int>("a/b");
  int after = 0;
  struct last_word {
    message_bus* bus;
    int* after;
    last_word(message_bus* b, int* a) : bus(b), after(a) {}
    last_word(last_word&& other) noexcept : bus(std::exchange(other.bus, nullptr)), after(other.after) {}
    ~last_word() {
      if (bus == nullptr) return;
      ++*after;
      (void)bus->topic<int>("a/" + std::to_string(*after));
      (void)bus->subscribe<int>("a/*", [](int) {});
    }
    void operator()(int) const {}
  };
  {
    const auto s = bus.subscribe<int>("a/*", last_word(&bus, &after));
  }
  CHECK(after == 1);
  const auto s = bus.subscribe<int>("#", last_word(&bus, &after), {.owner = &after});
  CHECK(bus.disconnect_all(&after));
  CHECK(after == 2);
}

TEST_CASE("publishing by the handle of a bus's topic does not allocate, nor by name") {
  message_bus bus;
  int sum = 0;
  const auto s1 = bus.subscribe<int>("orders/of-a-name-that-is-long", [&](int n) { sum += n; });
  const auto s2 = bus.subscribe<int>("orders/*", [&](int n) { sum += n; });
  const auto orders = bus.topic<int>("orders/of-a-name-that-is-long");
  orders.publish(1);
  const std::size_t before = support::allocations();
  for (int i = 0; i < 100; ++i) {
    orders.publish(1);
    bus.publish("orders/of-a-name-that-is-long", 1);
  }
  CHECK(support::allocations() == before);
  CHECK(sum == 402);
}

TEST_CASE("where memory runs out, a topic is made or not, and a pattern is subscribed or not") {
  if (!support::counts_allocations) return;
  int calls = 0;
  for (std::size_t k = 0;; ++k) {
    message_bus bus;
    const auto s1 = bus.subscribe<int>("*", [&](int) { ++calls; });
    const auto s2 = bus.subscribe<int>("#", [&](int) { ++calls; });
    bus.publish("b", 0);
    bool failed = true;
    calls = 0;
    subscription s3;
    try {
      const support::failing_allocations fail(k);
      (void)bus.topic<int>("a");
      s3 = bus.subscribe<int>("#", [&](int) { calls += 10; }, {.owner = &bus});
      failed = false;
    } catch (const std::bad_alloc&) {
    }
    bus.publish("a", 1);
    bus.publish("b", 1);
    CHECK(calls == (failed ? 4 : 24));
    if (!failed) break;
    REQUIRE(k < 100);
  }
}

TEST_CASE("publishers, makers of topics and subscribers to patterns at once: each message is seen once") {
  const std::size_t rounds = support::effort(60, 20);
  constexpr std::size_t topics = 24;
  constexpr int messages = 6;
  std::size_t wrong = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    message_bus bus;
    using counts = std::vector<std::atomic<int>>;
    std::array<counts, 3> seen{counts(topics * messages), counts(topics * messages),
                               counts(topics * messages)};
    std::array<std::atomic<int>, 3> is_subscribed{};
    // Which subscriptions were complete before the message was published: written by its publisher alone.
    std::array<std::vector<char>, 3> is_due;
    for (auto& due : is_due) due.resize(topics * messages);
    std::atomic<int> go{0};
    const auto publish_half = [&](std::size_t half) {
      go.fetch_add(1);
      while (go.load() < 4) std::this_thread::yield();
      for (std::size_t t = half; t < topics; t += 2) {
        const std::string name = "r/" + std::to_string(t);
        std::optional<millrace::topic<int>> handle;
        for (int n = 0; n < messages; ++n) {
          const std::size_t m = t * messages + static_cast<std::size_t>(n);
          for (std::size_t i = 0; i < 3; ++i) is_due[i][m] = is_subscribed[i].load() == 1;
          if (n % 2 == 0) {
            bus.publish(name, static_cast<int>(m));
          } else {
            if (!handle) handle.emplace(bus.topic<int>(name));
            handle->publish(static_cast<int>(m));
          }
        }
      }
    };
    std::vector<std::thread> workers;
    workers.emplace_back(publish_half, 0U);
    workers.emplace_back(publish_half, 1U);
    workers.emplace_back([&] {  // makes topics before their publisher does
      go.fetch_add(1);
      while (go.load() < 4) std::this_thread::yield();
      for (std::size_t t = topics; t-- > 0;) (void)bus.topic<int>("r/" + std::to_string(t));
    });
    std::array<subscription, 3> subscriptions;
    workers.emplace_back([&] {
      go.fetch_add(1);
      while (go.load() < 4) std::this_thread::yield();
      constexpr std::array<const char*, 3> patterns{"r/*", "#", "r/#"};
      for (std::size_t i = 0; i < 3; ++i) {
        subscriptions[i] = bus.subscribe<int>(
            patterns[i], [&, i](int m) { seen[i][static_cast<std::size_t>(m)].fetch_add(1); });
        is_subscribed[i].store(1);
        const subscription passing = bus.subscribe<int>("*/*", [](int) {});
        if (i == 1) {  // one that goes again, in mid-traffic
          is_subscribed[0].store(2);
          subscriptions[0].disconnect_and_wait();
        }
      }
    });
    for (auto& w : workers) w.join();
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t m = 0; m < topics * messages; ++m) {
        const int count = seen[i][m].load();
        wrong += count > 1;
        wrong += i != 0 && is_due[i][m] != 0 && count != 1;
      }
    }
    for (auto& s : subscriptions) s.disconnect_and_wait();
    for (auto& counts_of_one : seen) {
      for (auto& c : counts_of_one) c.store(0);
    }
    for (std::size_t t = 0; t < topics; ++t) bus.publish("r/" + std::to_string(t), 0);
    for (auto& counts_of_one : seen) {
      for (auto& c : counts_of_one) wrong += c.load() != 0;
    }
  }
  CHECK(wrong == 0);
}
