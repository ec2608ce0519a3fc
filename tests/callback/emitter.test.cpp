// SPDX-License-Identifier: BSL-1.0
#include <millrace/callback/emitter.hpp>

#include <atomic>
#include <optional>
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

/// Counts what a fence takes. Its emitters are those of other threads than the default ones.
struct counting_traits : default_traits {
  static inline unsigned yields = 0;
  static inline unsigned pauses = 0;
  static inline unsigned fences = 0;
  static void yield() noexcept { ++yields; }
  static void pause() noexcept { ++pauses; }
  struct fence : default_traits::fence {
    static void heavy() noexcept { ++fences; }
  };
};

struct cost {
  unsigned yields;
  bool has_paused;
  unsigned fences;
  bool operator==(const cost&) const = default;
};

/// A thread that emits, from when that is made until it is destroyed.
class emitting_thread {
 public:
  explicit emitting_thread(bool rests)
      : thread_([this, rests] {
          std::optional<emission<counting_traits>> emits(std::in_place);
          bit = emits->bit();
          if (rests) emits.reset();
          is_there_ = true;
          is_there_.notify_one();
          is_over_.wait(false);
        }) {
    is_there_.wait(false);
  }
  ~emitting_thread() {
    is_over_ = true;
    is_over_.notify_one();
    thread_.join();
  }

  millrace::detail::thread_bits bit = 0;

 private:
  std::atomic<bool> is_there_{false};
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("who waits for emissions interrupts those that go on at the last only") {
  auto& all = emitters<counting_traits>::all();
  const auto costs = [&](millrace::detail::thread_bits of, auto since) {
    counting_traits::yields = counting_traits::pauses = counting_traits::fences = 0;
    all.fence(of, since);
    return cost{counting_traits::yields, counting_traits::pauses != 0, counting_traits::fences};
  };
  cost of_one_that_emits{}, of_one_that_rests{}, of_both{};
  std::thread([&] {
    const emitting_thread rests(true);
    const auto since = all.tick();
    const emitting_thread emits(false);
    of_one_that_emits = costs(emits.bit, since);
    of_one_that_rests = costs(rests.bit, since);
    of_both = costs(emits.bit | rests.bit, since);
  }).join();
  CHECK(of_one_that_emits == cost{0, false, 0});
  CHECK(of_one_that_rests == cost{1, false, 1});
  CHECK(of_both == cost{1, true, 1});
}

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
