// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/topic_state.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

#include "support/catch.hpp"

namespace {

using millrace::detail::topic_commons;
using millrace::detail::topic_state;

}  // namespace

TEST_CASE("a topic knows its name and its type") {
  const topic_state<int> t("a/b", std::make_shared<topic_commons>(millrace::callback_registry_options()));
  const millrace::detail::any_topic& any = t;
  CHECK(any.name() == "a/b");
  CHECK(any.type() == typeid(int));
  CHECK(any.type_name() == "int");
}

TEST_CASE("what cannot be copied is published, and not retained") {
  auto commons = std::make_shared<topic_commons>(millrace::callback_registry_options());
  topic_state<std::unique_ptr<int>> t("single", commons);
  int sum = 0;
  const auto s = t.subscribe([&](const std::unique_ptr<int>& m) { sum += *m; });
  t.publish(std::make_unique<int>(3));
  CHECK(sum == 3);
  std::string said;
  try {
    t.retain();
  } catch (const std::invalid_argument& e) {
    said = e.what();
  }
  CHECK(said.find("\"single\" cannot retain a std::unique_ptr<int") != std::string::npos);
  CHECK_FALSE(t.retains());
}

TEST_CASE("exceptions go to the sink that all topics share") {
  int caught = 0;
  millrace::callback_registry_options options;
  options.sink = [&](std::exception_ptr) { ++caught; };
  auto commons = std::make_shared<topic_commons>(std::move(options));
  topic_state<int> a("a", commons);
  topic_state<int> b("b", commons);
  commons.reset();
  const auto fail = [](int) { throw std::runtime_error("no"); };
  const auto s1 = a.subscribe(fail);
  const auto s2 = b.subscribe(fail);
  a.publish(1);
  b.publish(1);
  CHECK(caught == 2);
  SECTION("also that of a message which was retained") {
    a.retain();
    a.publish(2);
    CHECK(caught == 3);
    const auto s3 = a.subscribe(fail);
    CHECK(caught == 4);
    a.publish(2);
    CHECK(caught == 6);
  }
}

TEST_CASE("those who are wanted are disconnected, by whatever way they are called") {
  auto commons = std::make_shared<topic_commons>(millrace::callback_registry_options());
  topic_state<int> t("t", commons);
  int calls = 0;
  const int owner = 0;
  millrace::topic_subscribe_options<int> how;
  how.owner = &owner;
  const auto mine = t.subscribe([&](int) { ++calls; }, std::move(how));
  const auto other = t.subscribe([&](int) { calls += 10; });
  CHECK(commons->owners.size() == 1);
  CHECK(commons->disconnect_all([&](const auto& one) { return one.owner == &owner && one.topic == &t; }));
  t.publish(1);
  CHECK(calls == 10);
  CHECK(commons->owners.size() == 0);
}
