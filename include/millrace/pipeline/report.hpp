// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <millrace/pipeline/pipeline_stats.hpp>

// What a pipeline has done, to be read: not part of <millrace/millrace.hpp>.

namespace millrace {

namespace detail {

/// Three digits, and the unit: "1.25 us".
inline std::string short_time(std::chrono::nanoseconds span) {
  double value = static_cast<double>(span.count());
  const char* unit = "ns";
  for (const char* const larger : {"us", "ms", "s"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = larger;
  }
  char text[32];
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f %s", unit[0] == 'n' ? 0 : digits, value, unit);
  return text;
}
inline std::string percent(std::chrono::nanoseconds part, double whole) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%",
                whole > 0 ? 100 * static_cast<double>(part.count()) / whole : 0.0);
  return text;
}

/// Lines of cells, in columns that are wide enough; all but the first one to the right.
inline std::string in_columns(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(line.size() > widths.size() ? line.size() : widths.size());
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i].size() > widths[i]) widths[i] = line[i].size();
    }
  }
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string space(widths[i] - line[i].size(), ' ');
      text += i == 0 ? line[i] + space : "  " + space + line[i];
    }
    text += '\n';
  }
  return text;
}

/// How long a message takes from the source to the end of each stage, in the mean: the times of the stages and
/// the queues on its way; where several ways lead there, by the first of them.
inline std::vector<std::chrono::nanoseconds> total_times(const pipeline_stats& stats) {
  std::vector<std::chrono::nanoseconds> totals(stats.stages.size());
  std::vector<bool> is_known(totals.size());
  for (std::size_t left = totals.size(); left > 0;
       --left) {  // a stage may stand before those that it is from
    for (std::size_t i = 0; i < totals.size(); ++i) {
      const stage_stats& stage = stats.stages[i];
      if (is_known[i] || (!stage.from.empty() && !is_known[stage.from.front()])) continue;
      totals[i] = stage.waiting.mean() + stage.service.mean();
      if (!stage.from.empty()) totals[i] += totals[stage.from.front()];
      is_known[i] = true;
    }
  }
  return totals;
}

inline std::string names_of(const pipeline_stats& stats, const std::vector<std::size_t>& stages) {
  std::string names;
  for (const std::size_t stage : stages) names += (names.empty() ? "" : " | ") + stats.stages[stage].name;
  return names;
}

/// What a picture says of the messages from one stage to another.
inline std::string edge_label(const stage_stats& from, const stage_stats& to) {
  std::string label = std::to_string(from.out);
  if (to.has_queue) label += ", " + std::to_string(to.depth) + " of " + std::to_string(to.capacity) + " wait";
  return label;
}
inline std::string node_label(const stage_stats& stage, const char* new_line) {
  std::string label;
  for (const char c : stage.name) {
    if (c == '"' || c == '\\') continue;
    label += c;
  }
  if (stage.workers > 1) label += " x" + std::to_string(stage.workers);
  if (stage.service.count() > 0) label += new_line + short_time(stage.service.mean());
  if (stage.errors > 0) label += new_line + std::to_string(stage.errors) + " errors";
  return label;
}

}  // namespace detail

/// The stats as a table for a terminal: a line for each stage, then one for the workers of each row of stages.
/// wait: in the queue before the stage; work: in it; total: mean of a message, from the source to the stage's end.
inline std::string table(const pipeline_stats& stats) {
  using detail::short_time;
  std::vector<std::vector<std::string>> lines{{"stage", "workers", "in", "out", "errors", "retries", "queue",
                                               "peak", "wait p50", "p99", "max", "work p50", "p99", "max",
                                               "total"}};
  const auto totals = detail::total_times(stats);
  for (std::size_t i = 0; i < stats.stages.size(); ++i) {
    const stage_stats& stage = stats.stages[i];
    std::vector<std::string> line{stage.name,
                                  std::to_string(stage.workers),
                                  std::to_string(stage.in),
                                  std::to_string(stage.out),
                                  std::to_string(stage.errors),
                                  std::to_string(stage.retries)};
    line.push_back(stage.has_queue ? std::to_string(stage.depth) + "/" + std::to_string(stage.capacity) : "");
    line.push_back(stage.has_queue ? std::to_string(stage.peak) : "");
    for (const time_samples* const times : {&stage.waiting, &stage.service}) {
      const bool has_any = times->count() > 0;
      line.push_back(has_any ? short_time(times->quantile(0.5)) : "");
      line.push_back(has_any ? short_time(times->quantile(0.99)) : "");
      line.push_back(has_any ? short_time(times->longest()) : "");
    }
    line.push_back(short_time(totals[i]));
    lines.push_back(std::move(line));
  }
  std::string text = detail::in_columns(lines);
  lines = {{"workers of", "workers", "busy", "starved", "blocked", "paused"}};
  for (const worker_stats& each : stats.workers) {
    const double whole = static_cast<double>((each.busy + each.starved + each.blocked + each.paused).count());
    lines.push_back({detail::names_of(stats, each.stages), std::to_string(each.workers),
                     detail::percent(each.busy, whole), detail::percent(each.starved, whole),
                     detail::percent(each.blocked, whole), detail::percent(each.paused, whole)});
  }
  text += '\n' + detail::in_columns(lines);
  text +=
      "\nelapsed " + short_time(stats.elapsed) + ", undelivered " + std::to_string(stats.undelivered) + '\n';
  return text;
}

/// A picture of the pipeline, with how many messages went where, in Mermaid's language.
inline std::string mermaid(const pipeline_stats& stats) {
  std::string text = "flowchart LR\n";
  for (std::size_t i = 0; i < stats.stages.size(); ++i) {
    const stage_stats& stage = stats.stages[i];
    text += "  s" + std::to_string(i) + "[\"" + detail::node_label(stage, "<br>") + "\"]\n";
    for (const std::size_t from : stage.from) {
      text += "  s" + std::to_string(from) + " -->|" + detail::edge_label(stats.stages[from], stage) + "| s" +
              std::to_string(i) + '\n';
    }
  }
  return text;
}

/// The same in Graphviz's.
inline std::string graphviz(const pipeline_stats& stats) {
  std::string text = "digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n";
  for (std::size_t i = 0; i < stats.stages.size(); ++i) {
    const stage_stats& stage = stats.stages[i];
    text += "  s" + std::to_string(i) + " [label=\"" + detail::node_label(stage, "\\n") + "\"];\n";
    for (const std::size_t from : stage.from) {
      text += "  s" + std::to_string(from) + " -> s" + std::to_string(i) + " [label=\"" +
              detail::edge_label(stats.stages[from], stage) + "\"];\n";
    }
  }
  return text + "}\n";
}

/// What running_pipeline::trace() gives, in the JSON that chrome://tracing and Perfetto open: a row for each worker.
inline std::string chrome_trace(const std::vector<stage_span>& spans) {
  std::string text = "{\"traceEvents\":[";
  const char* separator = "\n";
  for (const stage_span& each : spans) {
    char times[96];
    std::snprintf(times, sizeof times, "\"tid\":%zu,\"ts\":%.3f,\"dur\":%.3f}", each.worker,
                  static_cast<double>(each.began.count()) / 1000,
                  static_cast<double>(each.span.count()) / 1000);
    text += separator;
    text += "{\"name\":\"";
    for (const char c : each.stage) {
      if (c == '"' || c == '\\') text += '\\';
      text += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    text += "\",\"ph\":\"X\",\"pid\":1,";
    text += times;
    separator = ",\n";
  }
  return text + "\n]}\n";
}

/// In words: what the rest of the pipeline waits for. That is where workers are busy while those before them are
/// blocked and those behind them starve.
inline std::string bottleneck(const pipeline_stats& stats) {
  const worker_stats* worst = nullptr;
  double most = 0;
  for (const worker_stats& each : stats.workers) {
    const double whole = static_cast<double>((each.busy + each.starved + each.blocked + each.paused).count());
    const double used = whole > 0 ? static_cast<double>((each.busy + each.paused).count()) / whole : 0;
    if (used > most) {
      most = used;
      worst = &each;
    }
  }
  if (worst == nullptr) return "Nothing has run yet.";
  const stage_stats* slowest = nullptr;
  for (const std::size_t place : worst->stages) {
    const stage_stats& stage = stats.stages[place];
    if (slowest == nullptr || stage.service.sum() > slowest->service.sum()) slowest = &stage;
  }
  const double whole =
      static_cast<double>((worst->busy + worst->starved + worst->blocked + worst->paused).count());
  std::string text = "Most of all waits for " + slowest->name + ": its " + std::to_string(worst->workers) +
                     (worst->workers == 1 ? " worker is" : " workers are") + " busy " +
                     detail::percent(worst->busy, whole) + " of the time";
  if (worst->paused.count() > 0) text += ", paused " + detail::percent(worst->paused, whole);
  if (slowest->service.count() > 0) {
    text += ", " + detail::short_time(slowest->service.mean()) + " for a message";
  }
  if (slowest->has_queue) {
    text += "; " + std::to_string(slowest->depth) + " of " + std::to_string(slowest->capacity) +
            " wait before it";
  }
  return text + ".";
}

/// A watchdog in words: what a pipeline waits for of which no stage has begun, given or failed at a message between
/// these two stats; empty: one has, or none has anything to do.
///
///   for (auto before = run.stats(); run.finished().within(10s).wait() != op_status::ok;) {
///     const auto now = run.stats();
///     std::cerr << stalled(before, now);
///     before = now;
///   }
inline std::string stalled(const pipeline_stats& before, const pipeline_stats& now) {
  if (before.stages.size() != now.stages.size() || before.workers.size() != now.workers.size()) return {};
  const auto done = [](const stage_stats& s) { return s.in + s.out + s.errors + s.retries; };
  for (std::size_t i = 0; i < now.stages.size(); ++i) {
    if (done(now.stages[i]) != done(before.stages[i])) return {};
  }
  const auto span = now.elapsed - before.elapsed;
  const std::string since = "Nothing has moved for " + detail::short_time(span) + ": ";
  struct state {
    std::chrono::nanoseconds worker_stats::* time;
    const char* words;
  };
  // What is worked on comes first: the others may be blocked, or wait for another attempt, because of that.
  for (const state& each : {state{&worker_stats::busy, " is at work on a message"},
                            state{&worker_stats::paused, " waits for another attempt, or is throttled"},
                            state{&worker_stats::blocked, " has a message that nobody takes"}}) {
    for (std::size_t i = now.workers.size(); i-- > 0;) {  // the last one: those before it wait for it
      if (now.workers[i].*each.time - before.workers[i].*each.time < span / 2) continue;
      return since + detail::names_of(now, now.workers[i].stages) + each.words + ".\n";
    }
  }
  return {};
}

}  // namespace millrace
