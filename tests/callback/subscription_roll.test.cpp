// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/subscription_roll.hpp>

#include <cstddef>
#include <vector>

#include <millrace/callback/topic_subscription.hpp>

#include "support/catch.hpp"

namespace {

using millrace::subscription;

struct fake final : millrace::detail::topic_subscription {
  void drop() noexcept override {}
};
struct entry {
  millrace::detail::topic_subscription::holder subscription;
  int number;
};
using roll = millrace::detail::subscription_roll<entry>;

subscription enter(roll& r, int n) {
  auto* const l = new fake();
  subscription s(l);
  const auto first = l->first_part();
  l->begin_bus_part();
  r.add({millrace::detail::topic_subscription::holder(*l), n});
  return s;
}

std::vector<int> numbers(roll& r) {
  std::vector<int> all;
  r.for_each([&](const entry& e) { all.push_back(e.number); });
  return all;
}

}  // namespace

TEST_CASE("a roll gives out what is wanted, and keeps the others in their order") {
  roll r;
  std::vector<subscription> all;
  for (int n = 0; n < 6; ++n) all.push_back(enter(r, n));
  CHECK(r.take([](const entry& e) { return e.number > 9; }).empty());
  const auto odd = r.take([](const entry& e) { return e.number % 2 == 1; });
  REQUIRE(odd.size() == 3);
  CHECK(odd[2].number == 5);
  CHECK(numbers(r) == std::vector<int>{0, 2, 4});
  CHECK(r.take([](const entry&) { return true; }).size() == 3);
  CHECK(r.size() == 0);
}

TEST_CASE("a roll does not grow by what was disconnected") {
  roll r;
  const subscription kept = enter(r, -1);
  std::size_t most = 0;
  for (int n = 0; n < 1000; ++n) {
    const subscription s = enter(r, n);
    if (r.size() > most) most = r.size();
  }
  CHECK(most <= 12);
  CHECK(numbers(r).front() == -1);
}
