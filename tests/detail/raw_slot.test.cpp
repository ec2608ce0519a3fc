// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/raw_slot.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/messages.hpp"

namespace {

template <class T>
using slot = millrace::detail::raw_slot<T, millrace::default_traits>;

}  // namespace

TEST_CASE("a slot holds a message only from construct() to destroy()") {
  {
    slot<support::counted> s;
    CHECK(support::counted::live() == 0);
    s.construct(1);
    CHECK(support::counted::live() == 1);
    CHECK(s.get().number() == 1);
    const support::counted out = std::move(s.get());
    CHECK(out.number() == 1);
    CHECK(support::counted::live() == 2);
    s.destroy();
    CHECK(support::counted::live() == 1);
    s.construct(2);
    CHECK(s.get().number() == 2);
    s.destroy();
  }
  CHECK(support::counted::live() == 0);
}

TEST_CASE("a slot forwards what a message is made of") {
  slot<std::string> s;
  s.construct(3u, 'x');
  CHECK(s.get() == "xxx");
  s.destroy();
  STATIC_REQUIRE_FALSE(noexcept(s.construct(3u, 'x')));
  STATIC_REQUIRE(noexcept(s.construct(std::string())));
}

TEST_CASE("a slot has the size and the alignment of its message") {
  STATIC_REQUIRE(sizeof(slot<char>) == 1);
  STATIC_REQUIRE(sizeof(slot<std::unique_ptr<int>>) == sizeof(void*));
  STATIC_REQUIRE(alignof(slot<messages::over_aligned>) == 64);
  slot<messages::over_aligned> s;
  s.construct(1);
  CHECK(reinterpret_cast<std::uintptr_t>(&s.get()) % 64 == 0);
  s.destroy();
}

TEST_CASE("messages need be neither copyable, nor assignable, nor default-constructible") {
  STATIC_REQUIRE(millrace::detail::message_requirements<messages::bare>::met);
  STATIC_REQUIRE(millrace::detail::message_requirements<messages::move_only>::met);
  STATIC_REQUIRE(millrace::detail::message_requirements<int*>::met);
}
