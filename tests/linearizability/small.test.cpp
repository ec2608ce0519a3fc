// SPDX-License-Identifier: BSL-1.0

// Many small histories of random calls by three or four threads, close() among them, each checked exactly:
// by a search for an order of its calls that fits, as wgl.hpp has it.

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/detail/cpu.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"
#include "support/history.hpp"
#include "support/lockfree_queues.hpp"
#include "support/watchdog.hpp"
#include "support/wgl.hpp"

namespace {

namespace wgl = support::wgl;
using millrace::op_status;
using support::stamp;
using wgl::answer;
using wgl::kind;

/// Threads that do the same thing at the same time, again and again.
class crew {
 public:
  explicit crew(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, i] { serve(i); });
  }
  ~crew() {
    over_ = true;
    round_.fetch_add(1);
    for (auto& t : threads_) t.join();
  }

  /// work(i) by each thread i.
  void run(std::function<void(unsigned)> work) {
    work_ = std::move(work);
    busy_.store(threads_.size());
    missing_.store(threads_.size());
    round_.fetch_add(1);
    while (busy_.load() != 0) std::this_thread::yield();
  }

 private:
  void serve(unsigned index) {
    for (std::uint64_t seen = 0;; ++seen) {
      while (round_.load() == seen) std::this_thread::yield();
      if (over_) return;
      missing_.fetch_sub(1);
      for (unsigned spins = 0; missing_.load() != 0;) {
        if (++spins % 256 == 0) std::this_thread::yield();
      }
      work_(index);
      busy_.fetch_sub(1);
    }
  }

  std::function<void(unsigned)> work_;  // with over_: written between rounds
  bool over_ = false;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<std::size_t> missing_{0};  // threads that have not begun this round
  std::atomic<std::size_t> busy_{0};     // threads that have not ended it
  std::vector<std::thread> threads_;
};

std::size_t below(std::size_t n) noexcept {
  return support::thread_random() % n;
}

/// A number whose move, in the middle of a push or a pop, often lets other threads go first.
struct restless {
  std::uint32_t value = 0;

  restless() = default;
  restless(std::uint32_t v) noexcept : value(v) {}  // NOLINT: stands for its number
  restless(const restless& other) noexcept { *this = other; }
  restless& operator=(const restless& other) noexcept {
    if (below(8) == 0) std::this_thread::yield();
    value = other.value;
    return *this;
  }
};

answer answer_of(op_status status) noexcept {
  return status == op_status::ok       ? answer::ok
         : status == op_status::closed ? answer::closed
                                       : answer::refused;
}

/// Lets some time pass, so that each call may meet any other.
void dawdle() noexcept {
  if (below(8) == 0) std::this_thread::yield();
  for (std::size_t i = below(2) * below(40); i != 0; --i) millrace::detail::cpu_pause();
}

/// A thread's part of a history.
class scribe {
 public:
  explicit scribe(support::pulse& pulse) : pulse_(&pulse) { calls_.reserve(32); }

  template <class Call>
  void push(const restless& value, Call attempt) {
    dawdle();
    const std::uint64_t began = stamp();
    const answer said = attempt(value);
    add({began, stamp(), kind::push, said, false, value.value});
  }
  template <class Call>
  answer pop(Call attempt, bool waits = false) {
    restless value;
    dawdle();
    const std::uint64_t began = stamp();
    const answer said = attempt(value);
    add({began, stamp(), kind::pop, said, false, value.value, waits});
    return said;
  }
  template <class Call>
  void close(Call attempt) {
    dawdle();
    const std::uint64_t began = stamp();
    const bool first = attempt();
    add({began, stamp(), kind::close, first ? answer::ok : answer::refused});
  }
  /// A call that moves as many of the two as it can.
  template <class Call>
  void batch(kind what, restless (&values)[2], Call attempt) {
    dawdle();
    const std::uint64_t began = stamp();
    const std::size_t moved = attempt(values);
    const std::uint64_t ended = stamp();
    for (std::size_t i = 0; i < moved; ++i) {
      add({began, ended, what, answer::ok, i != 0, values[i].value});
    }
    if (moved < 2) add({began, ended, what, answer::refused, moved != 0});
  }

  const wgl::history& calls() const noexcept { return calls_; }

 private:
  void add(const wgl::call& c) {
    pulse_->beat();
    calls_.push_back(c);
  }

  support::pulse* pulse_;
  wgl::history calls_;
};

/// A queue of lockfree/: thread 0 pushes, thread 1 pops, where it may have one of each only.
template <class Kind, class Traits>
class lockfree_subject {
 public:
  static constexpr std::size_t most_threads = Kind::many ? 4 : 2;
  static constexpr bool is_bounded = Kind::bounded;

  explicit lockfree_subject(std::size_t capacity) : queue_(support::make_queue<queue>(capacity)) {}

  void act(unsigned thread, std::size_t calls, scribe& log) {
    std::uint32_t next = thread * 100;
    for (std::size_t i = 0; i < calls; ++i) {
      const bool pushes = Kind::many ? below(2) == 0 : thread == 0;
      const bool batch = below(6) == 0 && i + 1 < calls;
      i += batch;
      restless values[2] = {next, next + 1};
      if (pushes) next += batch ? 2 : 1;
      if (pushes && batch) {
        log.batch(kind::push, values, [this](auto& v) { return queue_.try_push_n(v, 2); });
      } else if (pushes) {
        log.push(values[0],
                 [this](const restless& v) { return queue_.try_push(v) ? answer::ok : answer::refused; });
      } else if (batch) {
        log.batch(kind::pop, values, [this](auto& v) { return queue_.try_pop_n(v, 2); });
      } else {
        pop(log);
      }
    }
  }
  answer pop(scribe& log) {
    return log.pop([this](restless& v) { return queue_.try_pop(v) ? answer::ok : answer::refused; });
  }

 private:
  using queue = typename Kind::template queue<restless, Traits>;
  queue queue_;
};

/// A queue that can be waited for: thread 0 never waits and surely closes, so the others may wait.
template <class Queue>
class waiting_subject {
 public:
  static constexpr std::size_t most_threads = 4;
  static constexpr bool is_bounded = std::constructible_from<Queue, std::size_t>;

  explicit waiting_subject(std::size_t capacity) : queue_(support::make_queue<Queue>(capacity)) {}

  void act(unsigned thread, std::size_t calls, scribe& log) {
    const std::size_t closing = thread == 0 ? below(calls) : below(8) == 0 ? below(calls) : calls;
    for (std::size_t i = 0; i < calls; ++i) {
      const bool may_wait = thread != 0 && below(3) == 0;
      if (i == closing) {
        log.close([this] { return queue_.close(); });
      } else if (below(2) == 0) {
        log.push(static_cast<std::uint32_t>(thread * 100 + i), [&](const restless& v) {
          return answer_of(may_wait ? queue_.push(v).wait().status() : queue_.try_push(v));
        });
      } else if (may_wait) {
        log.pop([this](restless& v) { return take(queue_.pop().wait(), v); }, true);
      } else {
        pop(log);
      }
    }
  }
  answer pop(scribe& log) {
    return log.pop([this](restless& v) { return take(queue_.try_pop(), v); });
  }

 private:
  static answer take(const millrace::pop_result<restless>& result, restless& value) {
    if (result) value = *result;
    return answer_of(result.status());
  }

  Queue queue_;
};

struct bounded {
  static constexpr const char* name = "bounded_queue";
  template <class T, class Traits>
  using queue = millrace::bounded_queue<T, Traits>;
};
struct unbounded {
  static constexpr const char* name = "unbounded_queue";
  template <class T, class Traits>
  using queue = millrace::unbounded_queue<T, Traits>;
};

struct tally {
  std::size_t histories = 0;
  std::size_t calls = 0;
  std::size_t overlapping = 0;  // histories with calls that overlap
  std::size_t mixed = 0;        // histories in which something was refused or closed, and something not
};

bool overlap(const wgl::history& calls) {
  for (const wgl::call& a : calls) {
    for (const wgl::call& b : calls) {
      if (a.began < b.began && b.began < a.ended) return true;
    }
  }
  return false;
}

template <class Subject>
void judge(std::size_t histories, const std::string& name, tally& total) {
  wgl::checker checker;
  for (const unsigned threads : {3u, 4u}) {
    const unsigned hands = std::min<unsigned>(threads, Subject::most_threads);
    support::watchdog dog(name, hands + 1);
    crew workers(hands);
    for (std::size_t i = 0; i < histories; ++i) {
      const std::size_t capacity = 1 + below(3);
      Subject subject(capacity);
      std::vector<scribe> logs;
      for (unsigned hand = 0; hand <= hands; ++hand) logs.emplace_back(dog.worker(hand));
      const std::size_t calls = 16 / hands;
      workers.run([&](unsigned thread) { subject.act(thread, calls, logs[thread]); });
      wgl::history all;
      for (int most = 8; most > 0 && subject.pop(logs[hands]) == answer::ok; --most) {
      }
      for (const scribe& log : logs) all.insert(all.end(), log.calls().begin(), log.calls().end());

      if (!checker.check(all, Subject::is_bounded ? capacity : 0)) {
        FAIL(name << ", capacity " << capacity << ", cannot have done this:\n" << wgl::describe(all));
      }
      const auto succeeded =
          std::count_if(all.begin(), all.end(), [](const wgl::call& c) { return c.said == answer::ok; });
      ++total.histories;
      total.calls += all.size();
      total.overlapping += overlap(all);
      total.mixed += succeeded != 0 && static_cast<std::size_t>(succeeded) != all.size();
    }
  }
}

void print(const char* name, const tally& total) {
  CHECK(total.overlapping > total.histories / 100);
  CHECK(total.mixed > total.histories / 2);
  std::printf("%s: %zu small histories of %zu calls, %zu of them with calls that overlap\n", name,
              total.histories, total.calls, total.overlapping);
}

}  // namespace

TEMPLATE_TEST_CASE("small histories fit a FIFO queue", "", support::mpmc, support::spsc, support::segmented) {
  tally total;
  support::with_each_traits([&](auto traits, const char* traits_name) {
    const std::string name = std::string(TestType::name) + ", " + traits_name;
    judge<lockfree_subject<TestType, decltype(traits)>>(support::effort(4000, 5), name, total);
  });
  print(TestType::name, total);
}

TEMPLATE_TEST_CASE("small histories fit with waiting and with close", "", bounded, unbounded) {
  tally total;
  support::with_each_traits([&](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<restless, decltype(traits)>;
    const std::string name = std::string(TestType::name) + ", " + traits_name;
    judge<waiting_subject<queue>>(support::effort(4000, 5), name, total);
  });
  print(TestType::name, total);
}
