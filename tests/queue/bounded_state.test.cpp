// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/bounded_state.hpp>

#include <memory>
#include <utility>

#include "support/catch.hpp"

// One thread at a time; its races are in tests/model.

namespace {

using traits = millrace::default_traits;
using message = std::unique_ptr<int>;

/// The state, opened up.
struct state : millrace::detail::bounded_state<message, traits> {
  using base = millrace::detail::bounded_state<message, traits>;
  using base::agent, base::closed, base::drainers, base::let_in, base::lock_head, base::lock_tail,
      base::locked;
  using base::poppers, base::pushers, base::ring_, base::unlock_head_at, base::waiting,
      base::withdraw_at_head;
  using base::withdraw_at_tail;

  explicit state(std::size_t capacity) : base(capacity, {}) {}
};

struct waiter : millrace::detail::waiter<traits> {
  message m;
  millrace::detail::push_slot<message> slot{&m, millrace::op_status::full};
  explicit waiter(int n = 0) : m(std::make_unique<int>(n)) {
    contest = nullptr;
    place = &slot;
  }
};

int count(millrace::work_list& list) {
  int n = 0;
  for (; !list.empty(); ++n) static_cast<void>(list.pop_front());
  return n;
}

}  // namespace

TEST_CASE("a locked end keeps its flags, and ring operations stop at it") {
  state s(2);
  const auto head = s.lock_head();
  const auto tail = s.lock_tail();
  message m = std::make_unique<int>(1);
  CHECK(s.ring_.try_put(std::move(m)) == millrace::detail::claim::flagged);
  s.ring_.unlock_tail(tail | s.waiting);
  s.ring_.unlock_head(head);
  CHECK(s.ring_.try_put(std::move(m)) == millrace::detail::claim::flagged);
  s.ring_.unlock_tail(s.lock_tail() & ~s.waiting);
  CHECK(s.ring_.try_put(std::move(m)) == millrace::detail::claim::done);
  CHECK(s.size_approx() == 1);
}

TEST_CASE("pushers are let in up to a number, and up to the capacity") {
  state s(2);
  waiter w[3] = {waiter(1), waiter(2), waiter(3)};
  for (waiter& one : w) CHECK((s.pushers().push_back(one), one.is_listed()));
  s.ring_.unlock_head(s.lock_head() | s.waiting);
  millrace::work_list served;
  CHECK(s.let_in(s.lock_head(), 1, served) == nullptr);  // whom nobody can trust with the others
  CHECK(count(served) == 1);
  CHECK((s.ring_.head() & s.waiting) != 0);
  CHECK(s.let_in(s.lock_head(), 5, served) == nullptr);
  CHECK(count(served) == 1);
  CHECK(s.size_approx() == 2);
  for (int n : {1, 2}) {
    CHECK(w[n - 1].slot.status == millrace::op_status::ok);
    CHECK(*s.ring_.claimed(
              s.ring_.place(n == 1 ? s.ring_.head() : s.ring_.next(s.ring_.place(s.ring_.head())))) == n);
  }
  CHECK(s.withdraw_at_head(s.pushers(), w[2]));
  CHECK_FALSE(s.withdraw_at_head(s.pushers(), w[2]));
  CHECK((s.ring_.head() & s.waiting) == 0);
}

TEST_CASE("the end of a closed queue takes those who wait for it, once it is empty") {
  state s(1);
  waiter w;
  s.drainers().push_back(w);
  s.ring_.unlock_tail(s.lock_tail() | s.closed);
  CHECK(s.is_closed());
  CHECK(s.is_drained());
  millrace::work_list done;
  const auto head = s.lock_head();
  s.unlock_head_at(s.ring_.place(head), done);
  CHECK(count(done) == 1);
  CHECK(s.drainers().empty());
  CHECK(s.stats().is_closed);
}

TEST_CASE("a popper that is taken back leaves no word behind") {
  state s(1);
  waiter w;
  s.poppers().push_back(w);
  s.ring_.unlock_tail(s.lock_tail() | s.waiting);
  CHECK(s.withdraw_at_tail(s.poppers(), w));
  CHECK((s.ring_.tail() & s.waiting) == 0);
  CHECK_FALSE(s.withdraw_at_tail(s.poppers(), w));
}
