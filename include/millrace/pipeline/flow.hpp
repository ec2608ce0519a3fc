// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/function_nodes.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/ordered_stage.hpp>
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
  pipeline(std::shared_ptr<detail::pipeline_graph> graph, detail::pipeline_result<Result> result) noexcept
      : graph_(std::move(graph)), result_(std::move(result)) {}

  std::shared_ptr<detail::pipeline_graph> graph_;
  detail::pipeline_result<Result> result_;
};

namespace detail {

template <class Flow>
auto cut(Flow&& from, std::size_t capacity, const stage_info& reader, std::size_t workers = 1,
         overflow_policy overflow = overflow_policy::wait);

/// What leaves a part with this chain, and this stage that waits.
template <class Chain, class Waiting>
struct carried_by {
  using type = typename Waiting::result;
};
template <class Chain>
struct carried_by<Chain, waits_not> {
  using type = typename Chain::output;
};

/// A pipeline that has no sink yet: what is complete of it is in the graph already; its last part is still
/// open. Open: a stage without workers of its own may join its last part.
template <class Input, class Chain, class Waiting = waits_not, bool Open = true>
class flow {
 public:
  using is_pipeline_flow = void;
  using value_type = typename carried_by<Chain, Waiting>::type;

  flow(std::shared_ptr<pipeline_graph> graph, Input input, Chain chain, Waiting waiting = {},
       std::size_t workers = 1, std::vector<pipeline_part*> above = {})
      : graph_(std::move(graph)),
        input_(std::move(input)),
        chain_(std::move(chain)),
        waiting_(std::move(waiting)),
        workers_(workers),
        above_(std::move(above)) {}

  pipeline_graph& graph() noexcept { return *graph_; }
  /// The stage that gives what leaves the flow.
  const stage_info& last() const noexcept {
    if constexpr (std::same_as<Waiting, waits_not>) {
      return chain_.stage();
    } else {
      return waiting_.stage();
    }
  }
  /// A stage behind that.
  stage_info& add_stage(std::string_view kind, std::string_view name) {
    return graph_->add_stage(kind, name, last());
  }

  /// The flow with another node at the end of its chain: make(chain).
  template <class Make>
  auto chained(Make&& make) && {
    static_assert(Open);
    using node = decltype(make(std::move(chain_)));
    return flow<Input, node, waits_not, true>(std::move(graph_), std::move(input_), make(std::move(chain_)),
                                              {}, workers_, std::move(above_));
  }
  /// The flow with nothing to join its last part.
  auto sealed() && {
    return flow<Input, Chain, Waiting, false>(std::move(graph_), std::move(input_), std::move(chain_),
                                              std::move(waiting_), workers_, std::move(above_));
  }
  /// The flow with a stage that waits at the end of its last part.
  template <class Stage>
  auto waiting(Stage stage) && {
    static_assert(Open);
    return flow<Input, Chain, Stage, false>(std::move(graph_), std::move(input_), std::move(chain_),
                                            std::move(stage), workers_, std::move(above_));
  }
  /// The flow itself where it is open, else a new part.
  auto opened(const stage_info& reader) && {
    if constexpr (Open) {
      return std::move(*this);
    } else {
      return cut(std::move(*this), stage_options().capacity, reader);
    }
  }
  /// The same for a stage that wants to be woken at a time: the part must be able to wait until then.
  auto timed(const stage_info& reader) && {
    if constexpr (Open && !Chain::may_pause && requires(Input& in) { in.next_until({}, {}); }) {
      return std::move(*this);
    } else {
      return cut(std::move(*this), stage_options().capacity, reader);
    }
  }
  /// The same for a stage that sees all messages: behind by_key, too, in a new part.
  auto gathered(const stage_info& reader) && {
    if constexpr (std::same_as<Input, lane_input<typename Input::value_type>>) {
      return cut(std::move(*this), stage_options().capacity, reader);
    } else {
      return std::move(*this).opened(reader);
    }
  }

  /// Ends the last part with this output.
  template <class Output>
  pipeline_part& close(Output output) {
    auto part = std::make_unique<fused_stages<Input, Chain, Waiting, Output>>(
        *graph_, std::move(input_), std::move(chain_), std::move(waiting_), std::move(output), workers_);
    part->above = std::move(above_);
    pipeline_part& closed = *part;
    graph_->add_part(std::move(part));
    return closed;
  }
  std::shared_ptr<pipeline_graph> release() noexcept { return std::move(graph_); }
  std::shared_ptr<pipeline_graph> share() noexcept { return graph_; }

 private:
  std::shared_ptr<pipeline_graph> graph_;
  Input input_;
  Chain chain_;
  Waiting waiting_;
  std::size_t workers_;
  std::vector<pipeline_part*> above_;
};

/// A flow whose last part begins behind a queue, which this one's last part pushes into.
template <class Flow>
auto cut(Flow&& from, std::size_t capacity, const stage_info& reader, std::size_t workers,
         overflow_policy overflow) {
  using T = typename Flow::value_type;
  auto& edge = from.graph().template add_edge<pipeline_edge<T>>(capacity, overflow, reader);
  pipeline_part& above = from.close(edge_output<T>(edge));
  return flow<edge_input<T>, chain_start<T>>(from.release(), edge_input<T>(edge), chain_start<T>(reader), {},
                                             workers, {&above});
}

/// A flow whose last part is a map with workers of its own, of which nothing is known to be in order: so
/// nothing may join it.
template <class T, class F, class Errors>
class map_flow {
 public:
  using is_pipeline_flow = void;
  using value_type = typename stage_result<F, T>::type;

  template <class Flow>
  map_flow(Flow&& from, F f, const stage_options& how, const stage_info& stage, Errors errors)
      : f_(std::move(f)), errors_(std::move(errors)), stage_(&stage), workers_(how.workers) {
    if (how.ordered && workers_ > 1) {
      ordered_ = &from.graph().template add_edge<ordered_edge<T, value_type>>(how.capacity, stage);
      above_ = &from.close(ordered_output<T, value_type>(*ordered_));
    } else {
      plain_ = &from.graph().template add_edge<pipeline_edge<T>>(how.capacity, overflow_policy::wait, stage);
      above_ = &from.close(edge_output<T>(*plain_));
    }
    graph_ = from.release();
  }

  pipeline_graph& graph() noexcept { return *graph_; }
  const stage_info& last() const noexcept { return *stage_; }
  stage_info& add_stage(std::string_view kind, std::string_view name) {
    return graph_->add_stage(kind, name, last());
  }
  auto opened(const stage_info& reader) && { return cut(std::move(*this), stage_options().capacity, reader); }
  auto timed(const stage_info& reader) && { return std::move(*this).opened(reader); }
  auto gathered(const stage_info& reader) && { return std::move(*this).opened(reader); }
  std::shared_ptr<pipeline_graph> release() noexcept { return std::move(graph_); }
  std::shared_ptr<pipeline_graph> share() noexcept { return graph_; }

  template <class Output>
  pipeline_part& close(Output output) {
    std::unique_ptr<pipeline_part> part = make(std::move(output));
    part->above.push_back(above_);
    pipeline_part& closed = *part;
    graph_->add_part(std::move(part));
    return closed;
  }

 private:
  template <class Output>
  std::unique_ptr<pipeline_part> make(Output output) {
    using start = chain_start<T>;
    if (ordered_ != nullptr) {
      return std::make_unique<ordered_stage<T, F, Errors, Output>>(
          *graph_, *ordered_, std::move(f_), std::move(errors_), std::move(output), workers_);
    } else if constexpr (awaitable<decltype(call(f_, std::declval<T&>()))>) {
      using waits = waiting_stage<F, T, Errors>;
      return std::make_unique<fused_stages<edge_input<T>, start, waits, Output>>(
          *graph_, edge_input<T>(*plain_), start(*stage_), waits(std::move(f_), *stage_, std::move(errors_)),
          std::move(output), workers_);
    } else {
      using node = map_node<start, F, Errors>;
      return std::make_unique<fused_stages<edge_input<T>, node, waits_not, Output>>(
          *graph_, edge_input<T>(*plain_), node(start(*stage_), std::move(f_), *stage_, std::move(errors_)),
          waits_not(), std::move(output), workers_);
    }
  }

  std::shared_ptr<pipeline_graph> graph_;
  F f_;
  [[no_unique_address]] Errors errors_;
  const stage_info* stage_;
  std::size_t workers_;
  pipeline_edge<T>* plain_ = nullptr;
  ordered_edge<T, value_type>* ordered_ = nullptr;
  pipeline_part* above_ = nullptr;
};

}  // namespace detail

}  // namespace millrace
