// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/wait/clock.hpp>

namespace millrace {

/// How long something took, of those times that were sampled.
class time_samples {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  std::uint64_t count() const noexcept { return count_; }
  nanoseconds sum() const noexcept { return nanoseconds(sum_); }
  nanoseconds mean() const noexcept { return nanoseconds(count_ == 0 ? 0 : sum_ / count_); }
  nanoseconds longest() const noexcept { return nanoseconds(longest_); }
  /// This part of them took no longer, or an eighth longer at most: quantile(0.5) is the median. 0: there are
  /// none.
  nanoseconds quantile(double part) const noexcept {
    const double rank = static_cast<double>(count_) * part;
    std::uint64_t so_far = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      so_far += counts_[bucket];
      if (so_far == 0 || static_cast<double>(so_far) < rank) continue;
      const std::uint64_t last = detail::histogram::last_of(bucket);
      return nanoseconds(last < longest_ ? last : longest_);
    }
    return longest();
  }

  void add(const detail::histogram& more) noexcept {
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      counts_[bucket] += more.count(bucket);
      count_ += more.count(bucket);
    }
    sum_ += more.sum();
    if (more.longest() > longest_) longest_ = more.longest();
  }

 private:
  std::array<std::uint64_t, detail::histogram::size> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t longest_ = 0;
};

/// What a stage of a pipeline has done.
struct stage_stats {
  std::string name;
  std::vector<std::size_t>
      from;                   ///< the stages that it gets messages from, as places in pipeline_stats::stages
  std::size_t workers = 0;    ///< how many work on it
  std::uint64_t in = 0;       ///< messages that it has begun to work on
  std::uint64_t out = 0;      ///< messages that it has given
  std::uint64_t errors = 0;   ///< how often it threw
  std::uint64_t retries = 0;  ///< how often it has tried again
  /// There is one before it (or, where it is a tee, a partition or a by_key: some behind it).
  bool has_queue = false;
  std::size_t depth = 0;  ///< messages in that
  std::size_t peak = 0;   ///< the most messages that a sample has found there
  std::size_t capacity = 0;
  time_samples waiting;  ///< how long messages were in that
  time_samples service;  ///< how long it worked on one
};

/// What the workers have done that take messages through the same stages.
struct worker_stats {
  std::vector<std::size_t> stages;  ///< as places in pipeline_stats::stages
  std::size_t workers = 0;
  std::chrono::nanoseconds busy{};     ///< the time in which they worked, of all of them together,
  std::chrono::nanoseconds starved{};  ///< in which they waited for messages,
  std::chrono::nanoseconds blocked{};  ///< in which nobody took what they had to give,
  std::chrono::nanoseconds paused{};   ///< and in which they waited for another attempt, or were throttled
};

/// What a pipeline has done, since it was started: see running_pipeline::stats().
struct pipeline_stats {
  std::chrono::nanoseconds elapsed{};
  std::size_t undelivered = 0;  ///< messages that left it by no sink
  std::vector<stage_stats> stages;
  std::vector<worker_stats> workers;
};

/// A span of time in which a worker worked in a stage.
struct stage_span {
  std::string stage;
  std::size_t worker;              ///< as if all workers of the pipeline were numbered
  std::chrono::nanoseconds began;  ///< since the pipeline was started
  std::chrono::nanoseconds span;
};

namespace detail {

/// What the trace logs of a graph say whose workers have ended.
inline std::vector<stage_span> spans_of(pipeline_graph& graph) {
  std::vector<stage_span> all;
  const meter_roll& roll = graph.roll();
  for (std::size_t worker = 0; worker < roll.crews.size(); ++worker) {
    if (roll.crews[worker].log == nullptr) continue;
    for (const trace_log::span& each : roll.crews[worker].log->spans()) {
      all.push_back({each.stage->name, worker, std::chrono::nanoseconds(each.began - graph.began()),
                     std::chrono::nanoseconds(each.ended - each.began)});
    }
  }
  return all;
}

/// What the meters of a graph that was started say now.
inline pipeline_stats stats_of(pipeline_graph& graph) {
  using std::chrono::nanoseconds;
  const std::uint64_t now = graph.stamp();
  const meter_roll& roll = graph.roll();
  pipeline_stats stats;
  stats.undelivered = graph.lost();
  const auto place_of = [&](const stage_info* stage) {
    std::size_t place = 0;
    while (graph.stages()[place].get() != stage) ++place;
    return place;
  };
  stats.stages.resize(graph.stages().size());
  for (std::size_t i = 0; i < stats.stages.size(); ++i) {
    stats.stages[i].name = graph.stages()[i]->name;
    for (const stage_info* const each : graph.stages()[i]->from)
      stats.stages[i].from.push_back(place_of(each));
  }
  for (const auto& entry : roll.entries) {
    stage_stats& stage = stats.stages[place_of(entry.stage)];
    ++stage.workers;
    stage.in += entry.in->get();
    stage.out += entry.meter != nullptr ? entry.meter->out.get() : entry.in->get();
    if (entry.meter == nullptr) continue;
    stage.errors += entry.meter->errors.get();
    stage.retries += entry.meter->retries.get();
    if (entry.meter->service != nullptr) stage.service.add(*entry.meter->service);
  }
  std::vector<bool> has_entry;
  for (const stage_stats& stage : stats.stages) has_entry.push_back(stage.workers > 0);
  for (const auto& arrival : roll.arrivals) {
    const std::size_t place = place_of(arrival.stage);
    if (has_entry[place]) continue;
    stage_stats& stage = stats.stages[place];
    ++stage.workers;
    stage.in += arrival.in->get();
    stage.out += arrival.in->get();
  }
  for (const auto& wait : roll.waits) stats.stages[place_of(wait.stage)].waiting.add(*wait.times);
  for (const auto& edge : graph.edges()) {
    stage_stats& stage = stats.stages[place_of(&edge->reader())];
    stage.has_queue = true;
    stage.depth += edge->depth();
    stage.capacity += edge->capacity();
    if (edge->peak() > stage.peak) stage.peak = edge->peak();
  }
  for (const auto& crew : roll.crews) {
    worker_stats one;
    for (const stage_info* const each : crew.stages) one.stages.push_back(place_of(each));
    if (one.stages.empty()) one.stages.push_back(place_of(crew.start));
    if (stats.workers.empty() || stats.workers.back().stages != one.stages)
      stats.workers.push_back(std::move(one));
    worker_stats& all = stats.workers.back();
    ++all.workers;
    const worker_meter& meter = *crew.worker;
    if (meter.began.get() == 0) continue;
    const std::uint64_t end = meter.ended.get() != 0 ? meter.ended.get() : now;
    if (end > graph.began() + static_cast<std::uint64_t>(stats.elapsed.count())) {
      stats.elapsed = nanoseconds(end - graph.began());
    }
    const auto waited = [&](wait_kind kind) {
      const nanoseconds until_now(meter.waits[static_cast<std::size_t>(kind)].get());
      const std::uint64_t since = meter.asleep_since.get();
      const bool is_asleep = since != 0 && meter.asleep_as.get() == static_cast<std::uint64_t>(kind);
      return is_asleep ? until_now + nanoseconds(end) - nanoseconds(since) : until_now;
    };
    const nanoseconds starved = waited(wait_kind::starved);
    const nanoseconds blocked = waited(wait_kind::blocked);
    const nanoseconds paused = waited(wait_kind::paused);
    const nanoseconds idle = starved + blocked + paused;
    const nanoseconds whole(end - meter.began.get());
    all.starved += starved;
    all.blocked += blocked;
    all.paused += paused;
    all.busy += whole > idle ? whole - idle : nanoseconds(0);
  }
  return stats;
}

}  // namespace detail

}  // namespace millrace
