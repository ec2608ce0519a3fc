// SPDX-License-Identifier: BSL-1.0

// Operations that two threads end at the same moment, each in its own way: by a delivery at one of two queues, a
// close, a stop, a deadline. One of them does; and each message is delivered, back, or still in its queue.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <utility>

#include <millrace/millrace.hpp>
#include <millrace/wait/timer.hpp>
#include <millrace/wait/timer_service.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"

namespace {

using millrace::op_status;
using millrace::timer_node;
using queue = millrace::bounded_queue<std::uint32_t>;

enum class event : std::uint8_t { delivery, other_delivery, close, stop, deadline };
constexpr std::array events{event::delivery, event::other_delivery, event::close, event::stop,
                            event::deadline};
constexpr std::array names{"delivery", "other delivery", "close", "stop", "deadline"};

/// An executor that keeps what it is posted, and whose clock strikes when it is told to.
class desk final : public millrace::timer_service {
 public:
  void post(millrace::work_item& item) noexcept {
    posted_.store(&item, std::memory_order_release);
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  millrace::timer_service* timers() noexcept { return this; }
  void add(timer_node& node) noexcept override { queue_.add(node); }
  void remove(timer_node& node) noexcept override { queue_.remove(node); }

  void strike() noexcept { queue_.expire(timer_node::clock::time_point::max()); }
  /// How many items were posted since the last call; the last of them is run.
  int run() noexcept {
    const int count = count_.exchange(0, std::memory_order_relaxed);
    if (millrace::work_item* const item = posted_.exchange(nullptr, std::memory_order_acquire))
      item->run(item);
    return count;
  }

 private:
  millrace::basic_timer_queue<millrace::default_traits> queue_;
  std::atomic<millrace::work_item*> posted_{nullptr};
  std::atomic<int> count_{0};
};

/// What the two threads share in one round.
struct round_of {
  explicit round_of(bool full) {
    if (!full) return;
    in = 2;
    static_cast<void>(one.try_push(1));
    static_cast<void>(two.try_push(2));
  }

  queue one{1};
  queue two{1};
  millrace::stop_source halt;
  desk home;
  const timer_node::clock::time_point late = timer_node::clock::now() + std::chrono::hours(1);
  int in = 0;   // messages that went in, but for those of the operation
  int out = 0;  // and out
};

struct ending {
  op_status status = op_status::empty;
  int count = 0;
};

/// The end that this thread brings: messages that went in, less those that came out.
int bring(event what, round_of& r, bool pushes) {
  queue& q = what == event::other_delivery ? r.two : r.one;
  switch (what) {
    case event::delivery:
    case event::other_delivery:
      if (pushes) return q.try_pop() ? -1 : 0;
      return q.try_push(3) == op_status::ok ? 1 : 0;
    case event::close:
      r.one.close();
      break;
    case event::stop:
      r.halt.request_stop();
      break;
    case event::deadline:
      r.home.strike();
      break;
  }
  return 0;
}

bool may_end_so(event what, op_status status, bool selects) {
  switch (what) {
    case event::delivery:
      return status == op_status::ok;
    case event::other_delivery:
      return selects && status == op_status::ok;
    case event::close:
      return status == op_status::closed;
    case event::stop:
      return status == op_status::cancelled;
    case event::deadline:
      return status == op_status::timeout;
  }
  return false;
}

/// One thread that brings the second end, again and again.
class rival {
 public:
  rival(event what, bool pushes) : what_(what), pushes_(pushes), thread_([this] { work(); }) {}
  ~rival() {
    round_ = nullptr;
    turn_.fetch_add(1, std::memory_order_release);
    thread_.join();
  }

  void begin(round_of& r) {
    round_ = &r;
    turn_.fetch_add(1, std::memory_order_release);
  }
  /// What it brought.
  int end() {
    wait_until(
        [this] { return done_.load(std::memory_order_acquire) == turn_.load(std::memory_order_relaxed); });
    return brought_;
  }

  static void dawdle() {
    for (std::uint32_t i = support::thread_random() % 64; i != 0; --i) millrace::detail::cpu_pause();
  }

 private:
  template <class Done>
  static void wait_until(Done done) {
    for (unsigned spins = 0; !done();) {
      if (++spins % 256 == 0) std::this_thread::yield();
    }
  }
  void work() {
    for (unsigned turn = 1;; ++turn) {
      wait_until([&] { return turn_.load(std::memory_order_acquire) == turn; });
      if (round_ == nullptr) return;
      dawdle();
      brought_ = bring(what_, *round_, pushes_);
      done_.store(turn, std::memory_order_release);
    }
  }

  const event what_;
  const bool pushes_;
  round_of* round_ = nullptr;
  int brought_ = 0;
  std::atomic<unsigned> turn_{0};
  std::atomic<unsigned> done_{0};
  std::thread thread_;
};

/// Starts the operation that is to be ended.
void start(round_of& r, bool selects, bool pushes, ending& how, int& moved) {
  const auto pop_ended = [&](auto&& result) {
    how = {result.status(), how.count + 1};
    moved -= result.status() == op_status::ok;
  };
  const auto push_ended = [&](auto&& result) {
    how = {result.status(), how.count + 1};
    moved += result.status() == op_status::ok;
  };
  const auto one_ended = [&, pushes](auto&& both) {
    const op_status first = both.template get<0>().status();
    const op_status second = both.template get<1>().status();
    const int sign = pushes ? 1 : -1;
    how = {both.index() == 1 ? second : first, how.count + 1};
    moved += sign * ((first == op_status::ok) + (second == op_status::ok));
  };
  const auto modified = [&](auto&& op) {
    return std::forward<decltype(op)>(op).with(r.halt.token()).until(r.late).on(r.home);
  };
  if (selects && pushes) {
    modified(select(r.one.push(7), r.two.push(8))).start(one_ended);
  } else if (selects) {
    modified(select(r.one.pop(), r.two.pop())).start(one_ended);
  } else if (pushes) {
    modified(r.one.push(7)).start(push_ended);
  } else {
    modified(r.one.pop()).start(pop_ended);
  }
}

struct tally {
  std::size_t rounds = 0;
  std::size_t lost = 0;
  std::size_t not_once = 0;
  std::size_t wrong_status = 0;
};

void race(event mine, event theirs, bool selects, bool pushes, tally& total) {
  rival other(theirs, pushes);
  const std::size_t rounds = support::effort(2500, 40);
  for (std::size_t i = 0; i < rounds; ++i) {
    round_of r(pushes);
    ending how;
    int balance = r.in;
    start(r, selects, pushes, how, balance);
    other.begin(r);
    rival::dawdle();
    balance += bring(mine, r, pushes);
    balance += other.end();
    const int posted = r.home.run();
    if (how.count == 0) {  // only deliveries at the other queue: nothing has ended it
      r.halt.request_stop();
      total.not_once += r.home.run() != 1 || how.count != 1 || how.status != op_status::cancelled || selects;
    } else {
      total.not_once += posted != 1 || how.count != 1;
      total.wrong_status +=
          !may_end_so(mine, how.status, selects) && !may_end_so(theirs, how.status, selects);
    }
    while (r.one.try_pop()) --balance;
    while (r.two.try_pop()) --balance;
    total.lost += balance != 0;
    ++total.rounds;
  }
}

}  // namespace

TEST_CASE("an operation that two threads end has one end, and no message is lost") {
  tally total;
  for (const bool selects : {false, true}) {
    for (const bool pushes : {false, true}) {
      for (std::size_t a = 0; a < events.size(); ++a) {
        for (std::size_t b = 0; b < events.size(); ++b) {
          tally one;
          race(events[a], events[b], selects, pushes, one);
          INFO((selects ? "a select of two " : "a ")
               << (pushes ? "push" : "pop") << ": " << names[a] << " beside " << names[b]);
          CHECK(one.lost == 0);
          CHECK(one.not_once == 0);
          CHECK(one.wrong_status == 0);
          total.rounds += one.rounds;
        }
      }
    }
  }
  std::printf("%zu racing rounds\n", total.rounds);
}
