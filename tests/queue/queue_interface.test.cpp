// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/queue_interface.hpp>

#include <exception>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>

#include "support/catch.hpp"

namespace {

using millrace::op_status;

struct bounded : millrace::bounded_queue<std::string> {
  bounded() : millrace::bounded_queue<std::string>(4) {}
};
using unbounded = millrace::unbounded_queue<std::string>;
using rendezvous = millrace::rendezvous_queue<std::string>;

}  // namespace

TEMPLATE_TEST_CASE("every queue offers the same", "", bounded, unbounded, rendezvous) {
  TestType q;
  std::vector<std::string> got;
  const auto take = [&] { q.pop().start([&](auto m) { got.push_back(*m); }); };
  const std::string copied = "copied";
  std::string kept = "kept";
  take();
  CHECK(q.try_push(std::string("moved")) == op_status::ok);
  take();
  CHECK(q.try_push(copied) == op_status::ok);
  take();
  CHECK(q.try_emplace(3u, 'x') == op_status::ok);
  take();
  CHECK(q.push("pushed").wait());
  take();
  CHECK(q.emplace(2u, 'y').wait());
  take();
  CHECK(q.push_from(kept).wait() == op_status::ok);
  CHECK(got == std::vector<std::string>{"moved", "copied", "xxx", "pushed", "yy", "kept"});
  CHECK(q.size_approx() == 0);
  CHECK(q.try_pop().status() == op_status::empty);

  CHECK_FALSE(q.is_closed());
  CHECK(q.close_reason() == nullptr);
  CHECK(q.close(std::make_exception_ptr(std::runtime_error("why"))));
  CHECK(q.is_closed());
  CHECK_THROWS_WITH(std::rethrow_exception(q.close_reason()), "why");
  kept = "still";
  CHECK(q.push_from(kept).wait() == op_status::closed);
  CHECK(kept == "still");
  CHECK(q.drained().wait() == op_status::ok);
  CHECK(q.close_and_drain(std::back_inserter(got)) == 0);
}

TEST_CASE("close_and_drain gives what is left, in order") {
  unbounded q;
  for (const char* text : {"a", "b", "c"}) CHECK(q.try_push(text) == op_status::ok);
  std::vector<std::string> left;
  CHECK(q.close_and_drain(std::back_inserter(left)) == 3);
  CHECK(left == std::vector<std::string>{"a", "b", "c"});
  CHECK(q.is_closed());
}
