// SPDX-License-Identifier: BSL-1.0
#include <millrace/pipeline/source.hpp>

#include <memory>
#include <utility>
#include <vector>

#include <millrace/wait/stop_token.hpp>

#include "support/catch.hpp"

using namespace millrace::detail;

namespace {

/// In the place of a chain.
struct mailbox {
  std::vector<int> got;
  void put(int n) { got.push_back(n); }
};

}  // namespace

TEST_CASE("a range source gives its elements, and ends where no more are taken in") {
  millrace::stop_source intake;
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  source.begin(intake.token(), 1);
  CHECK_FALSE(source.has_ended());
  mailbox to;
  CHECK(source.feed(to));
  CHECK(source.feed(to));
  CHECK_FALSE(source.feed(to));
  CHECK_FALSE(source.feed(to));
  CHECK(to.got == std::vector<int>{1, 2});
  intake.request_stop();
  CHECK(source.has_ended());
  CHECK(source.close_reason() == nullptr);
}

TEST_CASE("a range source stays valid where it is moved") {
  range_source<std::vector<int>> source(std::vector<int>{1, 2});
  mailbox to;
  CHECK(source.feed(to));
  auto moved = std::move(source);
  CHECK(moved.feed(to));
  CHECK(to.got == std::vector<int>{1, 2});
}
