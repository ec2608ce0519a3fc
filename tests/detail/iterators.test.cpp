// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/iterators.hpp>

#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using millrace::detail::nothrow_iterator;
using millrace::detail::nothrow_sink;
using millrace::detail::nothrow_source;

/// Gives integers by value; says of itself whether reading and advancing may throw.
template <bool Reads, bool Advances>
struct integers {
  int operator*() const noexcept(Reads) { return 1; }
  integers& operator++() noexcept(Advances) { return *this; }
};

/// An adaptor, as std::move_iterator was before it said noexcept; Reference: what it yields.
template <class It, class Reference>
struct adaptor {
  using iterator_type = It;
  It base() const;
  Reference operator*() const;
  adaptor& operator++();
};

struct throwing_copy {
  throwing_copy() = default;
  throwing_copy(const throwing_copy&) {}
  throwing_copy(throwing_copy&&) noexcept = default;
  throwing_copy& operator=(throwing_copy&&) noexcept(false);
};

using unique = std::unique_ptr<int>;

}  // namespace

TEST_CASE("an iterator is nothrow if reading and advancing are") {
  STATIC_REQUIRE(nothrow_iterator<int*>);
  STATIC_REQUIRE(nothrow_iterator<const std::string*>);
  STATIC_REQUIRE(nothrow_iterator<std::vector<int>::iterator>);
  STATIC_REQUIRE(nothrow_iterator<integers<true, true>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<integers<false, true>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<integers<true, false>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<std::istream_iterator<int>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<std::back_insert_iterator<std::vector<int>>>);
}

TEST_CASE("an adaptor that moves is as nothrow as what it adapts") {
  STATIC_REQUIRE(nothrow_iterator<std::move_iterator<unique*>>);
  STATIC_REQUIRE(nothrow_iterator<std::move_iterator<std::vector<unique>::iterator>>);
  STATIC_REQUIRE(nothrow_iterator<adaptor<unique*, unique&&>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<adaptor<integers<false, true>, unique&&>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<adaptor<integers<true, false>, unique&&>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<std::move_iterator<std::istream_iterator<int>>>);
}

TEST_CASE("an adaptor that does something else is not taken at the word of what it adapts") {
  STATIC_REQUIRE_FALSE(nothrow_iterator<adaptor<unique*, unique&>>);
  STATIC_REQUIRE_FALSE(nothrow_iterator<adaptor<int*, int>>);
}

TEST_CASE("a source is nothrow if messages can be built from what it yields") {
  STATIC_REQUIRE(nothrow_source<int*, int>);
  STATIC_REQUIRE(nothrow_source<std::move_iterator<std::string*>, std::string>);
  STATIC_REQUIRE(nothrow_source<std::move_iterator<throwing_copy*>, throwing_copy>);
  STATIC_REQUIRE(nothrow_source<integers<true, true>, int>);
  STATIC_REQUIRE_FALSE(nothrow_source<std::string*, std::string>);
  STATIC_REQUIRE_FALSE(nothrow_source<throwing_copy*, throwing_copy>);
  STATIC_REQUIRE_FALSE(nothrow_source<const char**, std::string>);
  STATIC_REQUIRE_FALSE(nothrow_source<integers<false, true>, int>);
}

TEST_CASE("a sink is nothrow if messages can be assigned to what it yields") {
  STATIC_REQUIRE(nothrow_sink<unique*, unique>);
  STATIC_REQUIRE(nothrow_sink<std::vector<std::string>::iterator, std::string>);
  STATIC_REQUIRE_FALSE(nothrow_sink<throwing_copy*, throwing_copy>);
  STATIC_REQUIRE_FALSE(nothrow_sink<std::back_insert_iterator<std::vector<unique>>, unique>);
  STATIC_REQUIRE_FALSE(nothrow_sink<const int*, int>);
}
