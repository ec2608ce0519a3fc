// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/retained_value.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using millrace::detail::retained_gate;
using millrace::detail::retained_pointer;
using millrace::detail::retained_value;

}  // namespace

TEST_CASE("the last message is retained, with its number") {
  retained_value<std::string> v;
  CHECK(v.last() == nullptr);
  CHECK(v.keep("a")->number == 1);
  const auto b = v.keep("b");
  CHECK(b->number == 2);
  CHECK(v.last() == b);
  CHECK(v.last()->message == "b");
}

TEST_CASE("a gate lets the last message pass first, and nothing older, and nothing twice") {
  retained_value<int> v;
  retained_gate<int> gate;
  std::vector<int> seen;
  const auto one = v.keep(1);
  CHECK_FALSE(gate.passes(one));
  const auto two = v.keep(2);
  CHECK_FALSE(gate.passes(two));
  retained_pointer<int> four;
  gate.open(v, [&](int n) {
    seen.push_back(n);
    if (n == 2) {  // a publisher comes meanwhile, and one that was late
      CHECK_FALSE(gate.passes(v.keep(3)));
      four = v.keep(4);
      CHECK_FALSE(gate.passes(one));
    }
    if (n == 3) CHECK_FALSE(gate.passes(four));
  });
  CHECK(seen == std::vector<int>{2, 3, 4});
  CHECK_FALSE(gate.passes(one));
  CHECK_FALSE(gate.passes(two));
  CHECK(gate.passes(v.keep(5)));
}

TEST_CASE("a gate with nothing to retain lets all pass") {
  retained_value<int> v;
  retained_gate<int> gate;
  int calls = 0;
  gate.open(v, [&](int) { ++calls; });
  CHECK(calls == 0);
  CHECK(gate.passes(v.keep(1)));
}

TEST_CASE("a gate stays shut where the listener throws") {
  retained_value<int> v;
  retained_gate<int> gate;
  (void)v.keep(1);
  CHECK_THROWS_AS(gate.open(v, [](int) { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK_FALSE(gate.passes(v.keep(2)));
}
