// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/emitter.hpp>

#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using millrace::default_traits;
using millrace::detail::emission;
using millrace::detail::emitters;
using millrace::detail::retired;
using millrace::detail::retired_batch;
using all_emitters = emitters<default_traits>;

struct memory : retired {
  bool is_freed = false;
  memory() {
    discard = [](retired* self) noexcept { static_cast<memory*>(self)->is_freed = true; };
  }
};

}  // namespace

TEST_CASE("memory that is given up inside an emission is freed when the outermost is over") {
  auto& all = all_emitters::all();
  memory what;
  retired_batch batch;
  batch.add(what);
  CHECK(all_emitters::outermost() == nullptr);
  {
    const emission<default_traits> outer;
    {
      const emission<default_traits> inner;
      CHECK(inner.bit() == outer.bit());
      CHECK(all_emitters::outermost() != nullptr);
      all.adopt(batch, inner.bit());
    }
    CHECK_FALSE(what.is_freed);
    all.collect();
    CHECK_FALSE(what.is_freed);
  }
  CHECK(what.is_freed);
  CHECK(all.oldest() == all_emitters::never);
}

TEST_CASE("all see which listener a thread is inside of, at any depth") {
  const auto& all = all_emitters::all();
  int one = 0;
  int two = 0;
  {
    emission<default_traits> outer;
    outer.enter(&one);
    CHECK(all.is_current(&one));
    {
      emission<default_traits> inner;
      inner.enter(&two);
      bool seen = false;
      std::thread([&] { seen = all.is_current(&one) && all.is_current(&two); }).join();
      CHECK(seen);
      inner.enter(nullptr);
      CHECK_FALSE(all.is_current(&two));
    }
    outer.enter(nullptr);
  }
  CHECK_FALSE(all.is_current(&one));
}

TEST_CASE("threads that come and go use the same emitters again, those that emit while they end too") {
  struct emits_late {
    ~emits_late() {
      emission<default_traits> outer;
      emission<default_traits> middle;
      emission<default_traits> inner;
    }
  };
  millrace::detail::thread_bits bits = 0;
  for (int i = 0; i < 100; ++i) {
    std::thread([&bits, i] {
      if (i % 2 == 0) static thread_local emits_late last;
      emission<default_traits> outer;
      emission<default_traits> inner;
      bits |= outer.bit();
    }).join();
  }
  int count = 0;
  for (; bits != 0; bits &= bits - 1) ++count;
  CHECK(count <= 2);
}
