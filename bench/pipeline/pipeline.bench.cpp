// SPDX-License-Identifier: BSL-1.0

// Pipelines, beside what people write in their place: coroutines with the same queues between them, oneTBB's
// parallel_pipeline and flow_graph, and std::async. Two threads for each.

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_stages.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>

#include "support/context.hpp"
#include "support/coroutines.hpp"

#ifdef BENCH_TBB
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#endif

namespace {

using bench::message;
using queue = millrace::bounded_queue<message>;
using millrace::from;
using millrace::into;
using millrace::map;
using millrace::stage_options;

constexpr std::size_t capacity = 64;

// Three stages, which together give each message back.
constexpr auto add = [](message m) { return m + 7; };
constexpr auto turn = [](message m) { return m ^ 0x5555; };
constexpr auto turn_back = [](message m) { return (m ^ 0x5555) - 7; };

/// The messages 0 to n - 1, one for each call.
auto counter(std::uint64_t n) {
  return [i = std::uint64_t(0), n]() mutable { return i < n ? std::optional<message>(i++) : std::nullopt; };
}
constexpr auto sum_up = [](message& sum, message m) { sum += m; };

// --- between two queues: a feeder, the stages, and a taker --------------------------------------------

millrace::task<> feed(queue& to, std::uint64_t n) {
  for (message m = 0; m != n; ++m) static_cast<void>(co_await to.push(m));
  to.close();
}
millrace::task<> take(queue& from_queue, message& sum) {
  message total = 0;
  while (auto m = co_await from_queue.pop()) total += *m;
  sum = total;
}
template <class F>
millrace::task<> work(queue& in, queue& out, F f) {
  while (auto m = co_await in.pop()) static_cast<void>(co_await out.push(f(*m)));
  out.close();
}

/// spawn(in, out) begins the stages and gives what keeps them going.
template <class Spawn>
void between_queues(benchmark::State& state, Spawn spawn) {
  const std::uint64_t n = bench::messages();
  millrace::thread_pool pool(2);
  bench::measure_runs(state, n, [&](bench::run& it) {
    queue in(capacity);
    queue out(capacity);
    message sum = 0;
    millrace::scope tasks;
    it.begin();
    tasks.spawn(pool, take(out, sum));
    [[maybe_unused]] const auto running = spawn(pool, tasks, in, out);
    tasks.spawn(pool, feed(in, n));
    it.all_exist();
    tasks.join().wait();
    it.end();
    it.check(sum == bench::sum_of_messages(n));
  });
}

void fused(benchmark::State& state, millrace::run_options how) {
  between_queues(state, [=](millrace::thread_pool& pool, millrace::scope&, queue& in, queue& out) {
    return start(pool, from(in) | map(add) | map(turn) | map(turn_back) | into(out), how);
  });
}
void fused_by_hand(benchmark::State& state) {
  between_queues(state, [](millrace::thread_pool& pool, millrace::scope& tasks, queue& in, queue& out) {
    tasks.spawn(pool, work(in, out, [](message m) { return turn_back(turn(add(m))); }));
    return 0;
  });
}
/// The three stages with queues between them.
auto stages_apart(millrace::run_options how) {
  return [how](millrace::thread_pool& pool, millrace::scope&, queue& in, queue& out) {
    return start(pool,
                 from(in) | map(add) | millrace::buffer(capacity) | map(turn) | millrace::buffer(capacity) |
                     map(turn_back) | into(out),
                 how);
  };
}
struct queues_between {
  queue first{capacity};
  queue second{capacity};
};
std::unique_ptr<queues_between> stages_apart_by_hand(millrace::thread_pool& pool, millrace::scope& tasks,
                                                     queue& in, queue& out) {
  auto between = std::make_unique<queues_between>();
  tasks.spawn(pool, work(in, between->first, add));
  tasks.spawn(pool, work(between->first, between->second, turn));
  tasks.spawn(pool, work(between->second, out, turn_back));
  return between;
}
void apart(benchmark::State& state, millrace::run_options how) {
  between_queues(state, stages_apart(how));
}
void apart_by_hand(benchmark::State& state) {
  between_queues(state, stages_apart_by_hand);
}

// --- one message at a time: what the stages add to the way ---------------------------------------------

millrace::task<> ask(queue& in, queue& out, std::uint64_t n, message& sum) {
  for (message m = 0; m != n; ++m) {
    static_cast<void>(co_await in.push(m));
    sum += *co_await out.pop();
  }
  in.close();
}

template <class Spawn>
void one_by_one(benchmark::State& state, Spawn spawn) {
  const std::uint64_t n = bench::messages() / 10;
  millrace::thread_pool pool(2);
  bench::measure_runs(state, n, [&](bench::run& it) {
    queue in(capacity);
    queue out(capacity);
    message sum = 0;
    millrace::scope tasks;
    it.begin();
    [[maybe_unused]] const auto running = spawn(pool, tasks, in, out);
    tasks.spawn(pool, ask(in, out, n, sum));
    it.all_exist();
    tasks.join().wait();
    it.end();
    it.check(sum == bench::sum_of_messages(n));
  });
}
void way_of_three(benchmark::State& state, const millrace::run_options& how) {
  one_by_one(state, stages_apart(how));
}
void way_of_three_by_hand(benchmark::State& state) {
  one_by_one(state, stages_apart_by_hand);
}

// --- from a source to a sink ------------------------------------------------------------------------------

struct shape {
  std::size_t workers;
  bool is_ordered;
  std::string name() const {
    return std::to_string(workers) + 'w' + (is_ordered && workers > 1 ? "-ordered" : "");
  }
};

template <class Run>
void whole(benchmark::State& state, std::uint64_t n, Run run) {
  bench::measure_runs(state, n, [&](bench::run& it) {
    it.begin();
    it.all_exist();
    const message sum = run(n);
    it.end();
    it.check(sum == bench::sum_of_messages(n));
  });
}

void source_to_sink(benchmark::State& state, shape of) {
  millrace::thread_pool pool(2);
  const stage_options how{.workers = of.workers, .ordered = of.is_ordered, .capacity = capacity};
  whole(state, bench::messages(), [&](std::uint64_t n) {
    if (of.workers == 1) {
      return start(pool, from(counter(n)) | map(add) | map(turn) | map(turn_back) |
                             millrace::fold(message(0), sum_up))
          .wait();
    }
    return start(pool, from(counter(n)) | map(add, how) | map(turn, how) | map(turn_back, how) |
                           millrace::fold(message(0), sum_up))
        .wait();
  });
}

void in_batches(benchmark::State& state, std::size_t size) {
  millrace::thread_pool pool(2);
  const auto each = [](auto f) {
    return [f](std::vector<message>& group) {
      for (message& m : group) m = f(m);
      return std::move(group);
    };
  };
  const stage_options apart_from_others{.workers = 1, .capacity = capacity};
  whole(state, bench::messages(), [&](std::uint64_t n) {
    return start(pool, from(counter(n)) | millrace::batch(size) | map(each(add), apart_from_others) |
                           map(each(turn), apart_from_others) | map(each(turn_back), apart_from_others) |
                           millrace::unbatch() | millrace::fold(message(0), sum_up))
        .wait();
  });
}

/// A std::async for each message, of which so many are under way.
void with_async(benchmark::State& state, shape of) {
  whole(state, bench::messages() / 100, [&](std::uint64_t n) {
    std::vector<std::future<message>> under_way(of.workers);
    message sum = 0;
    for (message m = 0; m != n; ++m) {
      std::future<message>& next = under_way[m % of.workers];
      if (next.valid()) sum += next.get();
      next = std::async(std::launch::async, [m] { return turn_back(turn(add(m))); });
    }
    for (std::future<message>& last : under_way) {
      if (last.valid()) sum += last.get();
    }
    return sum;
  });
}

#ifdef BENCH_TBB
void with_flow_graph(benchmark::State& state, shape of) {
  namespace flow = tbb::flow;
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 2);
  whole(state, bench::messages(), [&](std::uint64_t n) {
    flow::graph g;
    message sum = 0;
    const auto width = of.workers == 1 ? std::size_t(flow::serial) : of.workers;
    flow::input_node<message> source(g, [next = counter(n)](tbb::flow_control& control) mutable {
      const std::optional<message> m = next();
      if (!m) control.stop();
      return m.value_or(0);
    });
    flow::limiter_node<message> limit(g, capacity);
    flow::function_node<message, message> first(g, width, add);
    flow::function_node<message, message> second(g, width, turn);
    flow::function_node<message, message> third(g, width, turn_back);
    flow::sequencer_node<message> sequence(g, [](message m) { return static_cast<std::size_t>(m); });
    flow::function_node<message, flow::continue_msg> sink(g, flow::serial, [&](message m) {
      sum += m;
      return flow::continue_msg();
    });
    make_edge(source, limit);
    make_edge(limit, first);
    make_edge(first, second);
    make_edge(second, third);
    if (of.is_ordered) {
      make_edge(third, sequence);
      make_edge(sequence, sink);
    } else {
      make_edge(third, sink);
    }
    make_edge(sink, limit.decrementer());
    source.activate();
    g.wait_for_all();
    return sum;
  });
}

void with_parallel_pipeline(benchmark::State& state, shape of) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 2);
  const auto mode = of.workers == 1 ? tbb::filter_mode::serial_in_order : tbb::filter_mode::parallel;
  const auto last = of.is_ordered ? tbb::filter_mode::serial_in_order : tbb::filter_mode::serial_out_of_order;
  whole(state, bench::messages(), [&](std::uint64_t n) {
    message sum = 0;
    auto next = counter(n);
    const auto source = [&](tbb::flow_control& control) {
      const std::optional<message> m = next();
      if (!m) control.stop();
      return m.value_or(0);
    };
    tbb::parallel_pipeline(capacity,
                           tbb::make_filter<void, message>(tbb::filter_mode::serial_in_order, source) &
                               tbb::make_filter<message, message>(mode, add) &
                               tbb::make_filter<message, message>(mode, turn) &
                               tbb::make_filter<message, message>(mode, turn_back) &
                               tbb::make_filter<message, void>(last, [&](message m) { sum += m; }));
    return sum;
  });
}
#endif

// --- rows -----------------------------------------------------------------------------------------------------

template <class F, class... Args>
void add_row(const std::string& row, F f, Args... args) {
  benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) {
    f(state, args...);
  })->UseManualTime();
}

[[maybe_unused]] const bool registered = [] {
  const std::string stages = "pipelines/stages/64/";
  const millrace::run_options off{.sample_every = 0};
  bench::add_context();
  add_row(stages + "fused/millrace::pipeline", fused, millrace::run_options{});
  add_row(stages + "fused/by hand", fused_by_hand);
  add_row(stages + "fused/millrace::pipeline, no stats", fused, off);
  add_row(stages + "apart/millrace::pipeline", apart, millrace::run_options{});
  add_row(stages + "apart/by hand", apart_by_hand);
  add_row(stages + "apart/millrace::pipeline, no stats", apart, off);
  const std::string way = "pipelines/way/64/";
  add_row(way + "3-stages/millrace::pipeline", way_of_three, millrace::run_options{});
  add_row(way + "3-stages/by hand", way_of_three_by_hand);
  add_row(way + "3-stages/millrace::pipeline, no stats", way_of_three, off);
  const std::string run = "pipelines/run/64/";
  for (const shape of : {shape{1, true}, {4, false}, {4, true}}) {
    add_row(run + of.name() + "/millrace::pipeline", source_to_sink, of);
#ifdef BENCH_TBB
    add_row(run + of.name() + "/tbb::flow_graph", with_flow_graph, of);
    add_row(run + of.name() + "/tbb::parallel_pipeline", with_parallel_pipeline, of);
#endif
    add_row(run + of.name() + "/std::async", with_async, of);
  }
  for (const std::size_t size : {std::size_t(1), std::size_t(16), std::size_t(256)}) {
    add_row("pipelines/batches/64/" + std::to_string(size) + "/millrace::pipeline", in_batches, size);
  }
  return true;
}();

}  // namespace
