// SPDX-License-Identifier: BSL-1.0
#include <millrace/lockfree/try_queue.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

// What a queue asks of its core, and when. That it works as a queue is shown by lockfree_laws.hpp.

namespace {

using millrace::detail::claim;

/// What a core was asked to do, and what it is to answer.
struct script {
  std::vector<std::string> calls;
  claim answer = claim::done;
  bool room = true;
};

/// Holds the last message, and that only where the script lets it.
template <class T, bool IsNothrow>
class scripted_core {
 public:
  static constexpr bool nothrow_put = IsNothrow;

  explicit scripted_core(script* s) : script_(s) {}

  template <class... Args>
  claim try_put(Args&&... args) {
    script_->calls.push_back("put");
    if (script_->answer == claim::done) {
      held_.clear();
      held_.emplace_back(std::forward<Args>(args)...);
    }
    return script_->answer;
  }
  template <class Sink>
  claim try_take(Sink&& sink) noexcept {
    script_->calls.push_back("take");
    if (script_->answer != claim::done) return script_->answer;
    if (held_.empty()) return claim::blocked;
    sink(std::move(held_.back()));
    held_.clear();
    return claim::done;
  }
  template <class It>
  std::size_t try_put_n(It, std::size_t n) {
    script_->calls.push_back("put " + std::to_string(n));
    return n;
  }
  template <class Out>
  std::size_t try_take_n(Out, std::size_t n) noexcept {
    script_->calls.push_back("take " + std::to_string(n));
    return n;
  }
  bool sees_room() noexcept {
    script_->calls.push_back("room");
    return script_->room;
  }
  std::size_t size_approx() const noexcept { return 77; }

 private:
  script* script_;
  std::vector<T> held_;
};

template <class T, bool IsNothrow = true>
struct queue : millrace::detail::try_queue<T, scripted_core<T, IsNothrow>> {
  explicit queue(script& s) : queue::try_queue(&s) {}
};

using calls = std::vector<std::string>;

}  // namespace

TEST_CASE("only what the core did counts as pushed or popped") {
  script s;
  queue<std::unique_ptr<int>> q(s);
  auto message = std::make_unique<int>(1);
  for (const claim answer : {claim::blocked, claim::flagged}) {
    s.answer = answer;
    CHECK_FALSE(q.try_push(std::move(message)));
    CHECK_FALSE(q.try_emplace(std::move(message)));
    CHECK(message);
    CHECK_FALSE(q.try_pop());
    CHECK_FALSE(q.try_pop(message));
    CHECK(message);
  }
  s.answer = claim::done;
  CHECK(q.try_push(std::move(message)));
  CHECK_FALSE(message);
  CHECK(q.try_pop(message));
  REQUIRE(message);
  CHECK(*message == 1);
  CHECK(q.try_push(std::move(message)));
  const auto popped = q.try_pop();
  REQUIRE(popped);
  CHECK(**popped == 1);
  CHECK_FALSE(q.try_pop());
  CHECK(q.size_approx() == 77);
}

TEST_CASE("what cannot throw is built in its slot, without a look for room") {
  script s;
  queue<std::string> q(s);
  CHECK(q.try_push(std::string("a")));
  CHECK(q.try_emplace());
  CHECK(s.calls == calls{"put", "put"});
}

TEST_CASE("what may throw is built after a look for room, and only if there is some") {
  script s;
  queue<std::string> q(s);
  const std::string text = "copied";
  CHECK(q.try_push(text));
  CHECK(q.try_pop() == "copied");
  CHECK(q.try_emplace("literal"));
  CHECK(s.calls == calls{"room", "put", "take", "room", "put"});
  s.calls.clear();
  s.room = false;
  CHECK_FALSE(q.try_push(text));
  CHECK_FALSE(q.try_emplace("literal"));
  CHECK(s.calls == calls{"room", "room"});
}

TEST_CASE("a batch goes to the core as a whole where nothing can throw") {
  script s;
  queue<std::string> q(s);
  std::string strings[3];
  CHECK(q.try_push_n(std::make_move_iterator(strings), 3) == 3);
  CHECK(q.try_pop_n(strings, 2) == 2);
  CHECK(s.calls == calls{"put 3", "take 2"});
}

TEST_CASE("a batch goes to the core one by one where something may throw") {
  script s;
  queue<std::string> q(s);
  const std::string strings[] = {"a", "b"};
  CHECK(q.try_push_n(strings, 2) == 2);  // copies may throw
  CHECK(s.calls == calls{"room", "put", "room", "put"});
  s.calls.clear();
  std::vector<std::string> out;
  CHECK(q.try_pop_n(std::back_inserter(out), 5) == 1);  // the core holds but one
  CHECK(out == std::vector<std::string>{"b"});
  CHECK(s.calls == calls{"take", "take"});
  s.calls.clear();
  s.room = false;
  CHECK(q.try_push_n(strings, 2) == 0);
  CHECK(q.try_push_n(strings, 0) == 0);
  CHECK(q.try_pop_n(std::back_inserter(out), 0) == 0);
  CHECK(s.calls == calls{"room"});
}

TEST_CASE("a queue says noexcept as far as its core and its messages do") {
  using certain = queue<int, true>;
  using uncertain = queue<int, false>;
  STATIC_REQUIRE(noexcept(std::declval<certain&>().try_push(1)));
  STATIC_REQUIRE(noexcept(std::declval<certain&>().try_emplace(1)));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<uncertain&>().try_push(1)));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<uncertain&>().try_emplace(1)));
  STATIC_REQUIRE(noexcept(std::declval<uncertain&>().try_pop()));
  STATIC_REQUIRE_FALSE(noexcept(std::declval<queue<std::string>&>().try_emplace("text")));
}
