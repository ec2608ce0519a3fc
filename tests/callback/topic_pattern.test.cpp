// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/topic_pattern.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace {

using millrace::topic_pattern;

template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a pattern matches whole levels") {
  struct row {
    std::string_view pattern;
    std::string_view name;
    bool matches;
  };
  constexpr row table[] = {
      {"a", "a", true},           {"a", "b", false},           {"a", "ab", false},
      {"ab", "a", false},         {"a", "a/b", false},         {"a/b", "a", false},
      {"a/b", "a/b", true},       {"a/b", "a/c", false},       {"a/b", "a/b/c", false},
      {"*", "a", true},           {"*", "a/b", false},         {"*", "abc", true},
      {"a/*", "a/b", true},       {"a/*", "a", false},         {"a/*", "a/b/c", false},
      {"a/*", "b/b", false},      {"*/b", "a/b", true},        {"*/b", "a/c", false},
      {"*/b", "b", false},        {"a/*/c", "a/b/c", true},    {"a/*/c", "a/c", false},
      {"a/*/c", "a/b/d", false},  {"a/*/c", "a/b/b/c", false}, {"*/*", "a/b", true},
      {"*/*", "a", false},        {"*/*", "a/b/c", false},     {"#", "a", true},
      {"#", "a/b/c", true},       {"a/#", "a", true},          {"a/#", "a/b", true},
      {"a/#", "a/b/c", true},     {"a/#", "ab", false},        {"a/#", "b", false},
      {"a/#", "b/a", false},      {"a/*/#", "a/b", true},      {"a/*/#", "a", false},
      {"a/*/#", "a/b/c/d", true}, {"*/#", "a", true},          {"*/#", "a/b", true},
      {"a/b/#", "a", false},      {"a/b/#", "a/bc", false},    {"a/b/#", "a/b", true},
  };
  for (const row& r : table) {
    INFO(r.pattern << " and " << r.name);
    CHECK(topic_pattern(r.pattern).matches(r.name) == r.matches);
  }
  STATIC_REQUIRE(topic_pattern("orders/*").matches("orders/eu"));
}

TEST_CASE("a pattern without wildcards is one topic") {
  CHECK(topic_pattern("a").is_exact());
  CHECK(topic_pattern("a/b c/d-e").is_exact());
  CHECK_FALSE(topic_pattern("a/*").is_exact());
  CHECK_FALSE(topic_pattern("#").is_exact());
  CHECK(topic_pattern("a/*").text() == "a/*");
}

TEST_CASE("what is no pattern is refused, and shown") {
  for (const char* text :
       {"", "/", "/a", "a/", "a//b", "#/x", "a/#/b", "a*", "a/b*", "*a/b", "a/b#", "##", "**", "a/**"}) {
    INFO(text);
    const std::string said = refusal([&] { (void)topic_pattern(text); });
    CHECK(said.find('"' + std::string(text) + "\" is no topic pattern: ") != std::string::npos);
  }
  CHECK(refusal([] { (void)topic_pattern("#/x"); }).find("at the end only") != std::string::npos);
  CHECK(refusal([] { (void)topic_pattern("a//b"); }).find("empty level") != std::string::npos);
  CHECK(refusal([] { (void)topic_pattern("ab*"); }).find("whole levels") != std::string::npos);
}

TEST_CASE("what is no name is refused, and shown") {
  for (const char* text : {"", "/", "/a", "a/", "a//b", "*", "#", "a/*", "a/#", "a*", "a/b#c"}) {
    INFO(text);
    const std::string said = refusal([&] { topic_pattern::check_name(text); });
    CHECK(said.find('"' + std::string(text) + "\" is no topic name: ") != std::string::npos);
  }
  for (const char* text : {"a", "a/b", "orders/eu/new", "A b.c-d_e/1"}) {
    INFO(text);
    CHECK(refusal([&] { topic_pattern::check_name(text); }).empty());
  }
}
