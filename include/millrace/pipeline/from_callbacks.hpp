// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/source.hpp>
#include <millrace/pipeline/stage_info.hpp>
#include <millrace/pipeline/stage_options.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/stop_token.hpp>

namespace millrace {

namespace detail {

/// What callbacks can be subscribed to that take a message, as a topic or a callback_registry.
template <class S>
concept message_publisher = !std::is_void_v<typename S::value_type> &&
                            requires(S& source, void (&callback)(const typename S::value_type&)) {
                              source.subscribe(callback).disconnect();
                              source.subscribe(callback).closed();
                            };

/// Puts what is published into a queue between parts, as long as the pipeline takes anything in. Source is a
/// publisher, which is a handle, or a pointer to one.
template <class T, class Source>
class callback_part final : public pipeline_part {
  // Its worker only waits: for the end of the subscription, or of the intake, which it then makes the end of the
  // subscription. So the pipeline is not over before no callback of this runs.

 public:
  callback_part(pipeline_graph& graph, Source source, pipeline_edge<T>& edge)
      : pipeline_part(graph), source_(std::move(source)), edge_(edge) {
    edge.add_writer();
  }

  void prepare() override {
    subscription_ = pointee_or_self(source_).subscribe(take{this});
    workers_.push_back(work(*this, this->graph().intake()));
  }
  void close_input() noexcept override { subscription_.disconnect(); }
  std::exception_ptr end_reason() const noexcept override { return nullptr; }
  void close_output(const std::exception_ptr& why) noexcept override { edge_.end_writer(why); }
  void abandon() noexcept override {}

 private:
  struct take {
    callback_part* part;
    void operator()(const T& message) const {
      part->graph().has_passed(part->edge_.push(T(message), 0).wait(), part->edge_.reader());
    }
  };

  static detached work(callback_part& self, stop_token intake) {
    const op_status how = co_await self.subscription_.closed().with(intake);
    if (how == op_status::ok) co_return;
    self.subscription_.disconnect();
    static_cast<void>(co_await self.subscription_.closed().with(stop_token()));
  }

  Source source_;
  pipeline_edge<T>& edge_;
  decltype(pointee_or_self(std::declval<Source&>()).subscribe(std::declval<take>())) subscription_;
};

template <class T, class Source>
auto flow_of_callbacks(Source source, std::size_t capacity, overflow_policy overflow) {
  auto graph = std::make_shared<pipeline_graph>();
  const stage_info& stage = graph->add_stage("from", {});
  check({.capacity = capacity}, stage.name);
  auto& edge = graph->add_edge<pipeline_edge<T>>(capacity, overflow, stage);
  auto part = std::make_unique<callback_part<T, Source>>(*graph, std::move(source), edge);
  pipeline_part* const above = part.get();
  graph->add_part(std::move(part));
  return flow<edge_input<T>, chain_start<T>>(std::move(graph), edge_input<T>(edge), chain_start<T>(stage), {},
                                             1, {above});
}

}  // namespace detail

/// The beginning of a pipeline: its messages are what is published to a topic, or to a registry of callbacks that take
/// one message, from start() on, until that is gone, or the pipeline takes no more in. They come through a queue;
/// where it is full, the oldest message in it goes to on_undelivered, or the new one (reject), or the publisher blocks
/// (wait): not where the pipeline runs on its thread.
///
/// Errors      std::invalid_argument on capacity 0. Where copying a message throws, the publication does what it
///             does where callbacks throw.
/// Lifetime    a registry outlives start(), and the pipeline ends where it goes. A handle, such as a topic, is copied.
template <detail::message_publisher Source>
auto from(Source& source, std::size_t capacity = stage_options().capacity,
          overflow_policy overflow = overflow_policy::displace_oldest) {
  using T = typename Source::value_type;
  if constexpr (std::is_copy_constructible_v<Source>) {
    return detail::flow_of_callbacks<T>(std::remove_const_t<Source>(source), capacity, overflow);
  } else {
    return detail::flow_of_callbacks<T>(&source, capacity, overflow);
  }
}

}  // namespace millrace
