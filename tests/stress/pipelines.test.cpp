// SPDX-License-Identifier: BSL-1.0

// Random pipelines: stages, widths, capacities, what fails, when they are stopped or drained, and by whom. Each of
// them ends, and every message has come to the sink, was dropped by a stage that drops, was handed over as
// undelivered or as a dead letter, or is still in the source.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/failed.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/accounted.hpp"
#include "support/catch.hpp"
#include "support/effort.hpp"

namespace {

using namespace millrace;
using namespace std::chrono_literals;
using support::accounted;
using support::ledger;
using message_queue = bounded_queue<accounted>;
using letter_queue = bounded_queue<failed<accounted>>;
using random = std::minstd_rand;

/// A pipeline that may go on with any stage: each of ours ends with a buffer, so that its type stays the same.
using open = decltype(from(std::declval<message_queue&>()) | buffer(1));

std::size_t below(random& dice, std::size_t n) {
  return dice() % n;
}

/// Throws at every n-th message; 0: never.
struct trap {
  std::size_t every = 0;
  std::size_t seen = 0;
  void pass() {
    if (every != 0 && ++seen % every == 0) throw std::runtime_error("trap");
  }
};

open add_stage(open&& to, random& dice, bool may_fail, letter_queue& letters) {
  trap fails{may_fail && below(dice, 6) == 0 ? 1 + below(dice, 60) : 0};
  const std::size_t capacity = 1 + below(dice, 8);
  const stage_options how{
      .workers = 1 + below(dice, 4), .ordered = below(dice, 2) == 0, .capacity = 1 + below(dice, 4)};
  const auto same = [fails](accounted& m) mutable {
    fails.pass();
    return accounted(std::move(m));
  };
  const auto later = [fails](accounted& m) mutable -> task<accounted> {
    fails.pass();
    co_return std::move(m);
  };
  const auto drops = [fails, every = 2 + below(dice, 5)](const accounted& m) mutable {
    fails.pass();
    if (static_cast<std::size_t>(m.number()) % every != 0) return true;
    m.settle();
    return false;
  };
  const auto splits = [fails, n = below(dice, 4)](accounted& m) mutable {
    fails.pass();
    std::vector<accounted> parts;
    for (std::size_t i = 0; i < n; ++i) parts.emplace_back(m.book(), m.number());
    m.settle();
    return parts;
  };
  const auto streams = [fails, n = below(dice, 4)](accounted& m) mutable {
    return [&fails, &m, left = n]() mutable -> std::optional<accounted> {
      fails.pass();
      if (left-- > 0) return accounted(m.book(), m.number());
      m.settle();
      return std::nullopt;
    };
  };
  trap often{1 + below(dice, 10)};
  const auto fails_often = [often](accounted& m) mutable {
    often.pass();
    return accounted(std::move(m));
  };
  const auto fails_later = [often](accounted& m) mutable -> task<accounted> {
    often.pass();
    co_return std::move(m);
  };
  const retry soon{.attempts = 1 + below(dice, 3), .first = 10us};
  switch (below(dice, 15)) {
    case 0:
      return std::move(to) | map(same) | buffer(capacity);
    case 1:
      return std::move(to) | map(same, how) | buffer(capacity);
    case 2:
      return std::move(to) | map(later) | buffer(capacity);
    case 3:
      return std::move(to) | map(later, how) | buffer(capacity);
    case 4:
      return std::move(to) | filter(drops) | tap([](const accounted&) {}) | buffer(capacity);
    case 5:
      return std::move(to) | flat_map(splits) | buffer(capacity);
    case 6:
      return std::move(to) | batch(1 + below(dice, 5)) | unbatch() | map(same) | buffer(capacity);
    case 7:
      return std::move(to) | by_key([](const accounted& m) { return m.number(); }, how.workers) | map(same) |
             map(later) | buffer(capacity);
    case 8:
      return std::move(to) | map(fails_often).on_error(soon, skip()) | map(same) | buffer(capacity);
    case 9:
      return std::move(to) | map(fails_later).on_error(dead_letter(letters)) | buffer(capacity);
    case 10:
      return std::move(to) | map(fails_later, how).on_error(soon, dead_letter(letters)) | buffer(capacity);
    case 11:
      return std::move(to) | throttle(1e6, 1 + below(dice, 20)) | batch(1 + below(dice, 9), 20us) |
             unbatch() | buffer(capacity);
    case 12:
      return std::move(to) | flat_map(streams) | map(same) | buffer(capacity);
    case 13:
      return std::move(to) |
             flat_map(streams, {.workers = how.workers, .capacity = how.capacity}).on_error(soon, skip()) |
             buffer(capacity);
    default:
      return std::move(to) | buffer(capacity, below(dice, 2) == 0 ? overflow_policy::reject
                                                                  : overflow_policy::displace_oldest);
  }
}

pipeline<void> with_stages(std::size_t n, open&& to, random& dice, bool may_fail, message_queue& out,
                           letter_queue& letters) {
  if (n == 0) return std::move(to) | into(out);
  return with_stages(n - 1, add_stage(std::move(to), dice, may_fail, letters), dice, may_fail, out, letters);
}

enum class ending { source_closes, stops, drains, lets_go, sink_closes };

struct outcome {
  bool is_balanced = true;
  int made = 0;
};

outcome run_one(unsigned seed) {
  random dice(seed + 1);
  ledger book;
  {
    message_queue in(1 + below(dice, 16));
    message_queue out(1 + below(dice, 16));
    letter_queue letters(1 + below(dice, 4));
    const bool may_fail = below(dice, 3) == 0;
    pipeline<void> stages =
        with_stages(below(dice, 5), from(in) | buffer(1 + below(dice, 8)), dice, may_fail, out, letters);
    thread_pool pool(1 + static_cast<unsigned>(below(dice, 3)));
    const auto how = static_cast<ending>(below(dice, 5));
    const int at = static_cast<int>(below(dice, 200));
    {
      auto run = start(pool, std::move(stages),
                       [](const undelivered& message) { message.get_if<accounted>()->settle(); });
      std::thread consumer([&] {
        for (int n = 0;; ++n) {
          if (how == ending::sink_closes && n == at) out.close();
          const auto message = out.pop().wait();
          if (!message) break;
          message->settle();
        }
      });
      std::thread undertaker([&] {
        for (int n = 0;; ++n) {
          if (how == ending::sink_closes && n == at) letters.close();
          auto letter = letters.pop().wait();
          if (!letter) break;
          letter->message.settle();
        }
      });
      std::thread producer([&] {
        for (int i = 0; i < 200; ++i) {
          if (how == ending::stops && i == at) run.stop();
          auto result = in.push(accounted(book, i)).within(how == ending::source_closes ? 1h : 1ms).wait();
          if (result) continue;
          result.value().settle();
          if (how != ending::source_closes) break;
        }
        in.close();
      });
      const auto finish = [&] {
        if (how == ending::drains) {
          static_cast<void>(sync_wait(run.drain(std::chrono::microseconds(at * 10))));
        } else if (how == ending::lets_go) {
          auto gone = std::move(run);
          gone.stop();
        } else {
          try {
            run.wait();
          } catch (const std::runtime_error&) {
            in.close();
          }
        }
      };
      finish();
      in.close();
      letters.close();
      undertaker.join();
      producer.join();
      consumer.join();
    }
    while (auto message = in.try_pop()) message->settle();
    while (auto message = out.try_pop()) message->settle();
    while (auto letter = letters.try_pop()) letter->message.settle();
  }
  return {book.is_balanced(), book.made};
}

}  // namespace

TEST_CASE("random pipelines end, and keep account of every message") {
  const std::size_t rounds = support::effort(1000, 1);
  int made = 0;
  for (unsigned seed = 0; seed < rounds; ++seed) {
    const outcome o = run_one(seed);
    made += o.made;
    if (!o.is_balanced) FAIL("pipeline " << seed << " lost a message, or settled one twice");
  }
  CHECK(made > static_cast<int>(rounds));
}
