// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/stage_options.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/task/awaitable.hpp>

namespace millrace {

namespace detail {

/// Something that stands behind a `|`: attach(flow) gives the flow, or the pipeline, that goes on.
template <class S>
concept pipeline_stage = requires { typename std::remove_cvref_t<S>::is_pipeline_stage; };

template <class Flow, pipeline_stage Stage>
  requires requires { typename std::remove_cvref_t<Flow>::is_pipeline_flow; }
auto operator|(Flow&& from, Stage&& stage) {
  static_assert(!std::is_lvalue_reference_v<Flow>,
                "millrace: a pipeline is made of what it is given: write std::move(pipeline) | stage");
  return std::forward<Stage>(stage).attach(std::move(from));
}

/// Stages without a source: a stage that does what they do.
template <class First, class Second>
struct stage_sequence {
  using is_pipeline_stage = void;
  First first;
  Second second;

  template <class Flow>
  auto attach(Flow&& from) && {
    return std::move(second).attach(std::move(first).attach(std::move(from)));
  }
};
template <pipeline_stage First, pipeline_stage Second>
auto operator|(First first, Second second) {
  return stage_sequence<First, Second>{std::move(first), std::move(second)};
}

/// What a stage that was not given any options makes of a flow.
struct joins_part {
  std::string_view name{};
  static constexpr bool is_joined = true;
};
struct has_workers : stage_options {
  explicit has_workers(const stage_options& options) : stage_options(options) {}
  static constexpr bool is_joined = false;
};

/// The flow to which a stage is added: the one there is, or a new part of it with workers of its own.
template <class Flow, class How>
auto part_for(Flow&& from, const How& how, const stage_info& stage) {
  if constexpr (How::is_joined) {
    return std::move(from).opened(stage);
  } else {
    check(how, stage.name);
    return cut(std::move(from), how.capacity, stage, how.workers);
  }
}

template <class F, class How>
void check_copies(const How& how, const stage_info& stage) {
  if constexpr (!How::is_joined && !std::copy_constructible<F>) {
    if (how.workers > 1) {
      throw std::invalid_argument("millrace: " + stage.name + " has " + std::to_string(how.workers) +
                                  " workers, so its function must be one that can be copied");
    }
  }
}

template <class F, class T>
inline constexpr bool gives_awaitable = false;
template <class F, class T>
  requires awaitable<decltype(call(std::declval<F&>(), std::declval<T&>()))>
inline constexpr bool gives_awaitable<F, T> = true;

template <class F, class How>
struct map_stage {
  using is_pipeline_stage = void;
  F f;
  How how;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(takes_message<F, T>,
                  "millrace: map(f): f cannot be called with what the stage before it gives");
    const stage_info& stage = from.graph().add_stage("map", how.name);
    static_assert(
        !std::is_void_v<typename stage_result<F, T>::type>,
        "millrace: map(f): f gives nothing: use tap(f) to look at messages, for_each(f) to end with them");
    if constexpr (!How::is_joined) {
      check(how, stage.name);
      check_copies<F>(how, stage);
      return map_flow<T, F>(std::move(from), std::move(f), how, stage);
    } else if constexpr (gives_awaitable<F, T>) {
      return std::move(from).opened(stage).waiting(waiting_stage<F, T>(std::move(f), stage));
    } else {
      return std::move(from).opened(stage).chained([&](auto&& chain) {
        return map_node<std::remove_cvref_t<decltype(chain)>, F>(std::move(chain), std::move(f), stage);
      });
    }
  }
};

template <class F>
struct filter_stage {
  using is_pipeline_stage = void;
  F f;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(std::predicate<F&, const T&>,
                  "millrace: filter(f): f cannot be asked about what the stage before it gives");
    const stage_info& stage = from.graph().add_stage("filter", {});
    return std::move(from).opened(stage).chained([&](auto&& chain) {
      return filter_node<std::remove_cvref_t<decltype(chain)>, F>(std::move(chain), std::move(f), stage);
    });
  }
};

template <class F>
struct tap_stage {
  using is_pipeline_stage = void;
  F f;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(std::invocable<F&, const T&>,
                  "millrace: tap(f): f cannot be called with what the stage before it gives");
    const stage_info& stage = from.graph().add_stage("tap", {});
    return std::move(from).opened(stage).chained([&](auto&& chain) {
      return visit_node<std::remove_cvref_t<decltype(chain)>, F, true>(std::move(chain), std::move(f), stage);
    });
  }
};

template <class F>
struct flat_map_stage {
  using is_pipeline_stage = void;
  F f;
  std::string_view kind;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(
        takes_message<F, T> && requires { std::begin(std::declval<call_result<F, T>&>()); },
        "millrace: flat_map(f): f cannot be called with what the stage before it gives, or gives no range "
        "(unbatch(): the stage before it gives no ranges)");
    const stage_info& stage = from.graph().add_stage(kind, {});
    return std::move(from).opened(stage).chained([&](auto&& chain) {
      return flat_map_node<std::remove_cvref_t<decltype(chain)>, F>(std::move(chain), std::move(f), stage);
    });
  }
};

struct batch_stage {
  using is_pipeline_stage = void;
  std::size_t n;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.graph().add_stage("batch", {});
    if (n == 0)
      throw std::invalid_argument("millrace: " + stage.name +
                                  " of 0 messages would never be full: ask for 1 or more");
    return std::move(from).opened(stage).chained([&](auto&& chain) {
      return batch_node<std::remove_cvref_t<decltype(chain)>>(std::move(chain), n, stage);
    });
  }
};

struct buffer_stage {
  using is_pipeline_stage = void;
  std::size_t capacity;
  overflow_policy overflow;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.graph().add_stage("buffer", {});
    check({.capacity = capacity}, stage.name);
    return cut(std::move(from), capacity, stage, 1, overflow);
  }
};

}  // namespace detail

/// A stage that gives f(message) for each message. f may be a function of a task, or of anything else to be
/// awaited: then the stage gives what that gives.
///
/// Threads     one worker calls f, on the pipeline's executor; with options, `workers` of them, each its own
///             copy.
/// Ordering    with one worker, that of the messages.
/// Errors      where f throws, the pipeline fails (see start), and the message goes to on_undelivered. f is
///             passed an lvalue, and what it has not moved from is still there then; an f that takes T&& owns
///             its message.
/// Complexity  joins the stages before it: no queue, no allocation. With options, or behind a stage that has
///             some or that waits, it has a queue before it.
template <class F>
auto map(F f) {
  return detail::map_stage<F, detail::joins_part>{std::move(f), {}};
}
template <class F>
auto map(F f, const stage_options& how) {
  return detail::map_stage<F, detail::has_workers>{std::move(f), detail::has_workers(how)};
}

/// A stage that gives those messages for which f(const message&) is true.
///
/// As map, without options.
template <class F>
auto filter(F f) {
  return detail::filter_stage<F>{std::move(f)};
}

/// A stage that gives each message after f(const message&).
///
/// As map, without options.
template <class F>
auto tap(F f) {
  return detail::tap_stage<F>{std::move(f)};
}

/// A stage that gives the elements of the range f(message), one after the other.
///
/// As map, without options.
/// Lifetime    the message lives until its last element has been given: the range may refer to it. A range
///             that owns its elements is moved from.
template <class F>
auto flat_map(F f) {
  return detail::flat_map_stage<F>{std::move(f), "flat_map"};
}

/// A stage that gives the elements of each message, which is a range.
///
/// As flat_map.
inline auto unbatch() {
  const auto itself = []<class T>(T&& message) { return std::remove_cvref_t<T>(std::move(message)); };
  return detail::flat_map_stage<decltype(itself)>{itself, "unbatch"};
}

/// A stage that gives std::vectors of n messages; the last one, where the pipeline ends, may be smaller.
///
/// As map, without options.
/// Errors      std::invalid_argument on n = 0, where it is added.
/// Complexity  an allocation for each vector.
inline auto batch(std::size_t n) {
  return detail::batch_stage{n};
}

/// A queue between the stages before and behind it, which then work at the same time. With an overflow
/// policy, the messages that find it full, or the oldest ones in it, go to on_undelivered instead of waiting.
///
/// Errors      std::invalid_argument on capacity 0, where it is added.
inline auto buffer(std::size_t capacity, overflow_policy overflow = overflow_policy::wait) {
  return detail::buffer_stage{capacity, overflow};
}

}  // namespace millrace
