// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/message_tap.hpp>

#include <memory>

#include "support/catch.hpp"

namespace {

using millrace::detail::message_tap;
using millrace::detail::tap_point;

struct counts final : message_tap<int> {
  counts(int& s, int& g) : sum(s), gone(g) {}
  ~counts() override { ++gone; }
  void observe(const int& n) noexcept override { sum += n; }
  int& sum;
  int& gone;
};

}  // namespace

TEST_CASE("a queue has one tap at most, and keeps it") {
  int sum = 0;
  int gone = 0;
  {
    tap_point<int> point;
    CHECK(point.tap() == nullptr);
    point.observe(1);
    message_tap<int>& first = point.install(std::make_unique<counts>(sum, gone));
    CHECK(&point.install(std::make_unique<counts>(sum, gone)) == &first);
    CHECK(gone == 1);
    CHECK(point.tap() == &first);
    point.observe(2);
    CHECK(sum == 2);
  }
  CHECK(gone == 2);
}
