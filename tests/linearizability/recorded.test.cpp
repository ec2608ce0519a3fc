// SPDX-License-Identifier: BSL-1.0

// Histories of real threads, recorded with a stamp before and after each call, are those of linearizable
// FIFO queues: what fifo_checker.hpp says of them. MILLRACE_FULL in the environment checks twelve times as
// many.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/chaos.hpp"
#include "support/effort.hpp"
#include "support/fifo_checker.hpp"
#include "support/history.hpp"
#include "support/lockfree_queues.hpp"
#include "support/watchdog.hpp"

namespace {

using support::history;
using support::history_log;
using support::recorded;
using support::stamp;

constexpr std::size_t most_in_batch = 32;

struct shape {
  std::uint32_t producers;
  std::uint32_t consumers;
  std::size_t capacity;
  bool batches;  // calls move up to most_in_batch messages; else one

  std::string describe() const {
    return std::to_string(producers) + " to " + std::to_string(consumers) + " over " +
           std::to_string(capacity) + (batches ? ", in batches" : ", one by one");
  }
};

/// A number, six times: one that is taken while it is being written, or overwritten while it is being taken,
/// is no number.
class message {
 public:
  static constexpr std::uint32_t broken = 0xffffffff;

  message() = default;
  explicit message(std::uint32_t number) noexcept { words_.fill(number); }
  std::uint32_t number() const noexcept {
    for (const std::uint32_t word : words_) {
      if (word != words_[0]) return broken;
    }
    return words_[0];
  }

 private:
  std::array<std::uint32_t, 6> words_{};
};

/// One thread at a queue: calls it, and writes down what it did.
template <class Queue>
class worker {
 public:
  worker(Queue& queue, history_log& log, support::pulse& pulse, bool batches, std::size_t refusals)
      : queue_(queue), log_(log), pulse_(pulse), batches_(batches), refusals_(refusals) {}

  void push_all(std::uint32_t from, std::uint32_t to) {
    while (from != to) {
      const std::size_t asked = std::min(batch(), static_cast<std::size_t>(to - from));
      for (std::uint32_t i = 0; i < asked; ++i) messages_[i] = message(from + i);
      from += static_cast<std::uint32_t>(call(recorded::push, asked, [&] {
        return asked == 1 ? std::size_t{queue_.try_push(messages_[0])} : queue_.try_push_n(messages_, asked);
      }));
    }
  }

  /// Until nothing was there after the last push; or more came out than the `most` that went in.
  void pop_all(const std::atomic<bool>& all_pushed, std::size_t most) {
    for (std::size_t popped = 0; popped <= most;) {
      const bool last = all_pushed.load(std::memory_order_acquire);
      const std::size_t asked = batch();
      const std::size_t moved = call(recorded::pop, asked, [&] {
        return asked == 1 ? std::size_t{queue_.try_pop(messages_[0])} : queue_.try_pop_n(messages_, asked);
      });
      if (last && moved == 0) return;
      popped += moved;
    }
  }

 private:
  std::size_t batch() noexcept { return batches_ ? 1 + support::thread_random() % most_in_batch : 1; }

  template <class Call>
  std::size_t call(recorded::kind what, std::size_t asked, Call attempt) {
    const std::uint64_t began = stamp();
    const std::size_t moved = attempt();
    const std::uint64_t ended = stamp();
    if (moved != 0) {
      pulse_.beat();
      for (std::size_t i = 0; i < moved; ++i) numbers_[i] = messages_[i].number();
      log_.add(what, began, ended, numbers_, moved, asked);
      return moved;
    }
    if (refusals_ != 0) {  // those that are not written down have changed nothing
      --refusals_;
      log_.add(what, began, ended, numbers_, 0, asked);
    }
    if (++refused_in_turn_ % 8 == 0) std::this_thread::yield();
    return 0;
  }

  Queue& queue_;
  history_log& log_;
  support::pulse& pulse_;
  const bool batches_;
  std::size_t refusals_;  // how many more to write down
  unsigned refused_in_turn_ = 0;
  message messages_[most_in_batch];
  std::uint32_t numbers_[most_in_batch];
};

/// Lets threads push `each` messages per producer through a fresh queue. The last log is that of who
/// drained it.
template <class Queue>
history record(const shape& s, std::uint32_t first, std::uint32_t each, const std::string& name) {
  const std::uint32_t threads = s.producers + s.consumers;
  support::watchdog dog(name, threads + 1);
  Queue queue = support::make_queue<Queue>(s.capacity);
  const std::size_t all = std::size_t{s.producers} * each;
  history logs;
  for (std::uint32_t i = 0; i < threads; ++i) {
    const std::size_t most = i < s.producers ? each : all;
    logs.emplace_back(most + most / 4, most);
  }
  logs.emplace_back(16, 16);
  std::atomic<std::uint32_t> ready{0};
  std::atomic<bool> all_pushed{false};
  const auto at_work = [&](std::uint32_t i) {
    return worker<Queue>(queue, logs[i], dog.worker(i), s.batches, each / 4 + 4);
  };
  const auto start_together = [&] {
    ready.fetch_add(1);
    while (ready.load() != threads) std::this_thread::yield();
  };
  std::vector<std::thread> pushing;
  std::vector<std::thread> popping;
  for (std::uint32_t p = 0; p < s.producers; ++p) {
    pushing.emplace_back([&, p] {
      start_together();
      at_work(p).push_all(first + p * each, first + (p + 1) * each);
    });
  }
  for (std::uint32_t c = s.producers; c < threads; ++c) {
    popping.emplace_back([&, c] {
      start_together();
      at_work(c).pop_all(all_pushed, all);
    });
  }
  for (auto& t : pushing) t.join();
  all_pushed.store(true, std::memory_order_release);
  for (auto& t : popping) t.join();
  at_work(threads).pop_all(all_pushed, all);
  return logs;
}

struct tally {
  std::size_t histories = 0;
  std::size_t calls = 0;        // that moved messages
  std::size_t refused = 0;      // calls that moved none
  std::size_t messages = 0;     // that were moved, in or out
  std::size_t overlapping = 0;  // calls that began while others were in flight

  void add(const history& logs, const support::fifo_verdict& verdict) {
    ++histories;
    overlapping += verdict.overlapping;
    for (const history_log& log : logs) {
      for (const recorded& r : log.calls()) {
        ++(r.count == 0 ? refused : calls);
        messages += r.count;
      }
    }
  }
};

/// Records and checks histories until `calls` calls moved messages.
template <class Queue>
void judge(const shape& s, std::size_t calls, bool bounded, const std::string& name, tally& total) {
  support::fifo_checker checker;
  std::uint32_t first = support::thread_random() / 2;
  for (const std::size_t enough = total.calls + calls; total.calls < enough;) {
    const std::size_t messages =
        std::min<std::size_t>((enough - total.calls) * (s.batches ? 2 : 1) / 2, 100000);
    const auto each = static_cast<std::uint32_t>(messages / s.producers + 10);
    const history logs = record<Queue>(s, first, each, name);
    const support::fifo_verdict verdict = checker.check(logs, bounded ? s.capacity : 0, first);
    INFO(name << ": " << verdict.details);
    REQUIRE(verdict.fault == support::fifo_fault::none);
    REQUIRE(verdict.left == 0);
    total.add(logs, verdict);
    first += each * s.producers;
  }
}

std::vector<shape> shapes(bool many, bool bounded) {
  std::vector<shape> all;
  for (const std::size_t capacity : {1u, 2u, 3u, 64u, 1024u}) {
    for (const bool batches : {false, true}) {
      all.push_back({1, 1, capacity, batches});
      if (!many) continue;
      all.push_back({2, 2, capacity, batches});
      all.push_back({4, 4, capacity, batches});
      all.push_back({1, 4, capacity, batches});
      all.push_back({4, 1, capacity, batches});
    }
    if (!bounded) break;
  }
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("recorded histories are those of a FIFO queue", "", support::mpmc, support::scattered_mpmc,
                   support::spsc, support::segmented) {
  tally total;
  const std::vector<shape> all = shapes(TestType::many, TestType::bounded);
  const std::size_t calls = support::effort(1250000, 12) / (4 * all.size());
  support::with_each_traits([&](auto traits, const char* traits_name) {
    using queue = typename TestType::template queue<message, decltype(traits)>;
    for (const shape& s : all) {
      const std::string name = std::string(TestType::name) + ", " + traits_name + ", " + s.describe();
      judge<queue>(s, calls, TestType::bounded, name, total);
    }
  });
  CHECK(total.overlapping > total.histories);
  std::printf("%s: %zu histories; %zu calls moved %zu messages, %zu were refused, %zu overlapped others\n",
              TestType::name, total.histories, total.calls, total.messages, total.refused, total.overlapping);
}
