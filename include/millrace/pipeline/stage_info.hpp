// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/wait/clock.hpp>

namespace millrace::detail {

class pipeline_graph;
using stage_clock = std::chrono::steady_clock;

/// What the pipeline tells of a stage.
struct stage_info {
  std::string name;
  pipeline_graph* graph = nullptr;        // that it is a stage of
  std::vector<const stage_info*> from{};  // the stages that it gets messages from
};

/// What of a running pipeline counts for its stats: filled before it is launched.
struct meter_roll {
  struct entry {
    const stage_info* stage;
    const tally* in;
    const stage_meter* meter;  // null: what it has begun to work on, it has given
  };
  struct crew {
    std::vector<const stage_info*> stages;
    const worker_meter* worker;
    std::unique_ptr<trace_log> log;
    const stage_info* start = nullptr;  // which is all that it is called by where it has no stages
  };
  struct wait {
    const stage_info* stage;
    const histogram* times;
  };

  bool is_on = false;
  std::size_t most_spans = 0;  // for the trace log of a worker; 0: there is none
  std::vector<entry> entries;
  std::vector<entry> arrivals;  // of stages that have nothing else
  std::vector<wait> waits;
  std::vector<crew> crews;

  /// For the next worker.
  void add_crew(const worker_meter& worker) {
    crews.push_back({{}, &worker, most_spans != 0 ? std::make_unique<trace_log>(most_spans) : nullptr});
  }
  void add(const stage_info& stage, const tally& in, stage_meter* meter) {
    entries.push_back({&stage, &in, meter});
    crews.back().stages.push_back(&stage);
    if (!is_on || meter == nullptr) return;
    meter->service = std::make_unique<histogram>();
    meter->log = crews.back().log.get();
  }
};

/// A message on its way, and when it set out: 0 where that is not asked.
template <class T>
struct stamped {
  T message;
  std::uint64_t stamp = 0;  // in ns of the graph's clock
};

}  // namespace millrace::detail
