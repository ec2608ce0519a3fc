// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/source.hpp>
#include <millrace/pipeline/stage_options.hpp>
#include <millrace/queue/queue_options.hpp>

namespace millrace {

namespace detail {

/// What a pipeline computes, where it stays while that is done; of void, nothing.
template <class Result>
using pipeline_result = std::unique_ptr<std::conditional_t<std::is_void_v<Result>, no_message, Result>>;

}  // namespace detail

/// A pipeline that is complete, and can be started: see start(). Result is what it computes, if its sink does
/// that.
///
/// Lifetime    one that is never started destroys what it holds, and has taken no message.
template <class Result>
class pipeline {
 public:
  pipeline(std::unique_ptr<detail::pipeline_graph> graph, detail::pipeline_result<Result> result) noexcept
      : graph_(std::move(graph)), result_(std::move(result)) {}

  std::unique_ptr<detail::pipeline_graph> graph_;
  detail::pipeline_result<Result> result_;
};

namespace detail {

/// What leaves a part with this chain, and this stage that waits.
template <class Chain, class Waiting>
struct carried_by {
  using type = std::remove_cvref_t<typename Waiting::result>;
};
template <class Chain>
struct carried_by<Chain, waits_not> {
  using type = typename Chain::output;
};

/// A pipeline that has no sink yet: what is complete of it is in the graph already; its last part is still open.
/// Open: a stage without workers of its own may join its last part.
template <class Input, class Chain, class Waiting = waits_not, bool Open = true>
class flow {
 public:
  using is_pipeline_flow = void;
  using value_type = typename carried_by<Chain, Waiting>::type;

  flow(std::unique_ptr<pipeline_graph> graph, Input input, Chain chain, Waiting waiting = {},
       std::size_t workers = 1, pipeline_part* above = nullptr)
      : graph_(std::move(graph)),
        input_(std::move(input)),
        chain_(std::move(chain)),
        waiting_(std::move(waiting)),
        workers_(workers),
        above_(above) {}

  pipeline_graph& graph() noexcept { return *graph_; }

  /// The flow with another node at the end of its chain: make(chain).
  template <bool StaysOpen = true, class Make>
  auto chained(Make&& make) && {
    static_assert(Open);
    using node = decltype(make(std::move(chain_)));
    return flow<Input, node, waits_not, StaysOpen>(std::move(graph_), std::move(input_),
                                                   make(std::move(chain_)), {}, workers_, above_);
  }
  /// The flow with a stage that waits at the end of its last part.
  template <class Stage>
  auto waiting(Stage stage) && {
    static_assert(Open);
    return flow<Input, Chain, Stage, false>(std::move(graph_), std::move(input_), std::move(chain_),
                                            std::move(stage), workers_, above_);
  }
  /// The flow itself where it is open, else a new part.
  auto opened(const stage_info& reader) && {
    if constexpr (Open) {
      return std::move(*this);
    } else {
      return std::move(*this).cut(stage_options().capacity, reader);
    }
  }

  /// Ends the last part with this output.
  template <class Output>
  pipeline_part& close(Output output) {
    auto part = std::make_unique<fused_stages<Input, Chain, Waiting, Output>>(
        *graph_, std::move(input_), std::move(chain_), std::move(waiting_), std::move(output), workers_);
    if (above_ != nullptr) part->above.push_back(above_);
    pipeline_part& closed = *part;
    graph_->add_part(std::move(part));
    return closed;
  }
  /// A new part begins, behind a queue.
  auto cut(std::size_t capacity, const stage_info& reader, std::size_t workers = 1,
           overflow_policy overflow = overflow_policy::wait) && {
    pipeline_edge<value_type>& edge = graph_->add_edge<value_type>(capacity, overflow, reader);
    pipeline_part& above = close(edge_output<value_type>(edge));
    using next = flow<edge_input<value_type>, chain_start<value_type>>;
    return next(std::move(graph_), edge_input<value_type>(edge), chain_start<value_type>(reader), {}, workers,
                &above);
  }

  std::unique_ptr<pipeline_graph> release() noexcept { return std::move(graph_); }

 private:
  std::unique_ptr<pipeline_graph> graph_;
  Input input_;
  Chain chain_;
  Waiting waiting_;
  std::size_t workers_;
  pipeline_part* above_;
};

}  // namespace detail

}  // namespace millrace
