// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/source.hpp>
#include <millrace/queue/consumer.hpp>

namespace millrace {

namespace detail {

template <class Q>
concept message_queue = requires(Q& q) {
  typename Q::value_type;
  q.pop();
  q.close_reason();
};
template <class R>
concept message_range = requires(R& r) {
  std::begin(r);
  std::end(r);
};

template <class Source>
auto flow_of(Source source) {
  auto graph = std::make_shared<pipeline_graph>();
  const stage_info& stage = graph->add_stage("from", {});
  using T = typename Source::value_type;
  static_assert(message_requirements<T>::met);
  return flow<Source, chain_start<T>>(std::move(graph), std::move(source), chain_start<T>(stage));
}

}  // namespace detail

/// The beginning of a pipeline: its messages come from a queue, until that is closed and empty.
///
/// Lifetime    the queue outlives the pipeline.
template <detail::message_queue Queue>
auto from(Queue& queue) {
  return detail::flow_of(detail::queue_source<Queue*>(&queue));
}
/// The same for a consumer, which the pipeline keeps: when it ends, and no other consumer is left, the queue
/// closes.
template <class T, class Queue>
auto from(consumer<T, Queue> end) {
  return detail::flow_of(detail::queue_source<consumer<T, Queue>>(std::move(end)));
}

/// The same for a range: copies of its elements. Lifetime: it outlives the pipeline.
template <detail::message_range Range>
  requires(!detail::message_queue<Range>)
auto from(Range& range) {
  return detail::flow_of(detail::range_source<Range*>(&range));
}
/// The same for a range that is given away: its elements.
template <detail::message_range Range>
  requires(!detail::message_queue<Range> && !std::is_lvalue_reference_v<Range>)
auto from(Range&& range) {
  return detail::flow_of(detail::range_source<Range>(std::move(range)));
}

/// The same for a function that gives a std::optional for each call, or something to be awaited that does:
/// nothing is the end. It is called by one worker at a time.
template <class F>
  requires(std::invocable<F&> && !detail::message_range<F> && !detail::message_queue<F>)
auto from(F f) {
  return detail::flow_of(detail::function_source<F>(std::move(f)));
}

}  // namespace millrace
