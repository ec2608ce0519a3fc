// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/function_nodes.hpp>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>

#include "support/catch.hpp"
#include "support/chains.hpp"

namespace {

using namespace millrace::detail;
using support::all;
using support::left;
using support::next;
using support::stage;

template <class F, class Prev>
auto map(Prev prev, F f) {
  return map_node<Prev, F>(std::move(prev), std::move(f), stage);
}
template <class F, class Prev>
auto filter(Prev prev, F f) {
  return filter_node<Prev, F>(std::move(prev), std::move(f), stage);
}
template <class F, class Prev>
auto flat_map(Prev prev, F f) {
  return flat_map_node<Prev, F>(std::move(prev), std::move(f), stage);
}

using start_node = chain_start<int>;
start_node start() {
  return support::chain_of_ints();
}

}  // namespace

TEST_CASE("a chain gives what comes of each message that is put in") {
  auto chain = map(filter(map(start(), [](int n) { return n * 3; }), [](int n) { return n % 2 == 0; }),
                   [](int n) { return std::to_string(n); });
  CHECK(all(chain).empty());
  chain.put(1);
  CHECK(all(chain).empty());
  chain.put(2);
  CHECK(all(chain) == std::vector<std::string>{"6"});
  CHECK(all(chain).empty());
  chain.finish();
  CHECK(all(chain).empty());
  CHECK(left<int>(chain).empty());
}

TEST_CASE("a function that takes a value is given a copy, one that takes an rvalue the message") {
  const auto message = std::make_shared<int>(1);
  long seen = 0;
  auto copies = map(chain_start<std::shared_ptr<int>>(stage),
                    [&](std::shared_ptr<int> m) { return seen = m.use_count(); });
  copies.put(std::shared_ptr<int>(message));
  CHECK(all(copies) == std::vector<long>{3});  // message, the one put in, the copy
  auto takes = map(chain_start<std::shared_ptr<int>>(stage), [&](std::shared_ptr<int>&& m) {
    const std::shared_ptr<int> mine = std::move(m);
    return seen = mine.use_count();
  });
  takes.put(std::shared_ptr<int>(message));
  CHECK(all(takes) == std::vector<long>{2});
}

TEST_CASE("a message stays in the node that throws at it") {
  const auto thrower = [](const auto&) -> int { throw std::runtime_error("no"); };
  auto maps = map(start(), thrower);
  maps.put(5);
  CHECK_THROWS_AS(next(maps), std::runtime_error);
  CHECK(left<int>(maps) == std::vector<int>{5});
  CHECK(left<int>(maps).empty());

  auto filters = filter(start(), thrower);
  filters.put(6);
  CHECK_THROWS_AS(next(filters), std::runtime_error);
  CHECK(left<int>(filters) == std::vector<int>{6});

  const auto visitor = [](int) { throw std::runtime_error("no"); };
  visit_node<start_node, decltype(visitor), true> sees(start(), visitor, stage);
  sees.put(7);
  CHECK_THROWS_AS(next(sees), std::runtime_error);
  CHECK(left<int>(sees) == std::vector<int>{7});

  visit_node<start_node, decltype(visitor), false> ends(start(), visitor, stage);
  ends.put(8);
  CHECK_THROWS_AS(next(ends), std::runtime_error);
  CHECK(left<int>(ends) == std::vector<int>{8});
}

TEST_CASE("a visitor sees messages on their way, or is their end") {
  std::vector<int> seen;
  const auto see = [&](int n) { seen.push_back(n); };
  visit_node<start_node, decltype(see), true> through(start(), see, stage);
  through.put(1);
  CHECK(all(through) == std::vector<int>{1});
  visit_node<start_node, decltype(see), false> end(start(), see, stage);
  end.put(2);
  CHECK(all(end).empty());
  CHECK(seen == std::vector<int>{1, 2});
}

TEST_CASE("flat_map gives the elements of a range, moved where the range is their owner") {
  auto own = flat_map(start(), [](int n) {
    std::vector<std::unique_ptr<int>> v;
    for (int i = 0; i < n; ++i) v.push_back(std::make_unique<int>(i));
    return v;
  });
  own.put(0);
  CHECK(all(own).empty());
  own.put(2);
  const auto given = all(own);
  REQUIRE(given.size() == 2);
  CHECK(*given[1] == 1);

  std::array<std::string, 2> words{"a long string that owns memory", "b"};
  auto others = flat_map(start(), [&](int) { return std::span<std::string>(words); });
  others.put(0);
  CHECK(all(others) == std::vector<std::string>(words.begin(), words.end()));
  CHECK(words[0] == "a long string that owns memory");

  const auto itself = [](std::vector<int>& v) { return std::span<int>(v); };
  auto of_message = flat_map(chain_start<std::vector<int>>(stage), itself);
  of_message.put(std::vector<int>{1, 2, 3});
  CHECK(all(of_message) == std::vector<int>{1, 2, 3});
}

TEST_CASE("flat_map gives away the elements that it has not given, or the message that it threw at") {
  auto chain = flat_map(start(), [](int n) {
    if (n < 0) throw std::runtime_error("no");
    return std::vector<std::string>{"a", "b", "c"};
  });
  chain.put(1);
  CHECK(next(chain) == std::optional<std::string>("a"));
  CHECK(left<std::string>(chain) == std::vector<std::string>{"b", "c"});
  CHECK_FALSE(next(chain));
  chain.put(-1);
  CHECK_THROWS_AS(next(chain), std::runtime_error);
  CHECK(left<int>(chain) == std::vector<int>{-1});
}

TEST_CASE("flat_map gives what a function gives, until that is nothing") {
  auto chain = flat_map(start(), [](int& n) {
    return [&n]() -> std::optional<int> {
      if (n == 0) return std::nullopt;
      return n--;
    };
  });
  chain.put(0);
  CHECK(all(chain).empty());
  chain.put(3);
  CHECK(all(chain) == std::vector<int>{3, 2, 1});
  chain.put(2);
  CHECK(next(chain) == std::optional<int>(2));
  CHECK(left<int>(chain) == std::vector<int>{1});  // the message itself, as it is now
  CHECK_FALSE(next(chain));
}

TEST_CASE("flat_map keeps the message where what it gives throws") {
  bool throws = true;
  auto chain = flat_map(start(), [&](int& n) {
    return [&]() -> std::optional<int> {
      if (throws) throw std::runtime_error("no");
      return n;
    };
  });
  chain.put(4);
  CHECK_THROWS_AS(next(chain), std::runtime_error);
  CHECK(left<int>(chain) == std::vector<int>{4});
  throws = false;
  chain.put(5);
  CHECK(next(chain) == std::optional<int>(5));
  throws = true;
  CHECK_THROWS_AS(next(chain), std::runtime_error);
  CHECK(left<int>(chain) == std::vector<int>{5});
}

TEST_CASE("flat_map loses the message, not its elements, where those are another's") {
  const std::array<std::string, 3> words{"a", "b", "c"};
  auto chain = flat_map(start(), [&](int) { return std::span<const std::string>(words); });
  chain.put(6);
  CHECK(next(chain) == std::optional<std::string>("a"));
  CHECK(left<int>(chain) == std::vector<int>{6});
  CHECK_FALSE(next(chain));
}

namespace {

/// Sums up to ten, and gives what is left at the end.
struct sums {
  int sum = 0;
  bool throws = false;
  std::vector<int> operator()(int n) {
    sum += n;
    if (sum < 10) return {};
    return {std::exchange(sum, 0)};
  }
  std::vector<int> finish() {
    if (throws) throw std::runtime_error("no");
    return {sum, -1};
  }
};

}  // namespace

TEST_CASE("flat_map asks at the end for what was kept back") {
  auto chain = flat_map(flat_map(start(), sums{}), sums{});
  for (int n = 1; n < 7; ++n) {  // 1 + 2 + 3 + 4, and 5 + 6
    chain.put(int(n));
    CHECK(all(chain) == (n == 4 ? std::vector<int>{10} : n == 6 ? std::vector<int>{11} : std::vector<int>{}));
  }
  chain.put(3);
  CHECK(all(chain).empty());
  chain.finish();
  CHECK(all(chain) == std::vector<int>{2, -1});  // 3 and -1 of the first
  CHECK(all(chain).empty());
}

TEST_CASE("what was kept back is given away where it is left, and is no message where it throws") {
  auto chain = flat_map(start(), sums{.sum = 7});
  chain.finish();
  CHECK(next(chain) == std::optional<int>(7));
  CHECK(left<int>(chain) == std::vector<int>{-1});

  struct counts_down {
    auto operator()(int n) {
      return [n]() mutable -> std::optional<int> { return n == 0 ? std::nullopt : std::optional(n--); };
    }
    auto finish() { return (*this)(2); }
  };
  auto function = flat_map(start(), counts_down{});
  function.finish();
  CHECK(next(function) == std::optional<int>(2));
  CHECK(left<int>(function).empty());  // nobody's message
  CHECK_FALSE(next(function));

  auto thrower = flat_map(start(), sums{.throws = true});
  thrower.finish();
  CHECK_THROWS_AS(next(thrower), std::runtime_error);
  CHECK(left<int>(thrower).empty());
}
