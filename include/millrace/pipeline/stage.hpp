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
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/function_nodes.hpp>
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

/// f(message) may be called again with the message at which it threw.
template <class F, class T, class Errors>
inline constexpr bool may_settle =
    std::is_same_v<Errors, fails> || requires(F& f, T& message) { f(message); };

template <class F, class How, class Errors = fails>
struct map_stage {
  using is_pipeline_stage = void;
  F f;
  How how;
  [[no_unique_address]] Errors errors{};

  /// See map.
  template <class... Policies>
    requires error_policies<Policies...>
  auto on_error(Policies... each) && {
    using policy = decltype(make_policy(std::move(each)...));
    return map_stage<F, How, policy>{std::move(f), how, make_policy(std::move(each)...)};
  }

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(takes_message<F, T>,
                  "millrace: map(f): f cannot be called with what the stage before it gives");
    static_assert(
        may_settle<F, T, Errors>,
        "millrace: map(f).on_error(): f takes its message away, so that is gone where it throws: let "
        "f take const T&, T& or T");
    const stage_info& stage = from.add_stage("map", how.name);
    static_assert(
        !std::is_void_v<typename stage_result<F, T>::type>,
        "millrace: map(f): f gives nothing: use tap(f) to look at messages, for_each(f) to end with them");
    if constexpr (!How::is_joined) {
      check(how, stage.name);
      check_copies<F>(how, stage);
      return map_flow<T, F, Errors>(std::move(from), std::move(f), how, stage, std::move(errors));
    } else if constexpr (gives_awaitable<F, T>) {
      return std::move(from).opened(stage).waiting(
          waiting_stage<F, T, Errors>(std::move(f), stage, std::move(errors)));
    } else {
      return std::move(from).opened(stage).chained([&](auto&& chain) {
        return map_node<std::remove_cvref_t<decltype(chain)>, F, Errors>(std::move(chain), std::move(f),
                                                                         stage, std::move(errors));
      });
    }
  }
};

// The stages that join the stages before them: what they are called, what they ask of f, and their node.

struct filter_kind {
  static constexpr std::string_view name = "filter";
  template <class F, class T>
  static constexpr void check() {
    static_assert(std::predicate<F&, const T&>,
                  "millrace: filter(f): f cannot be asked about what the stage before it gives");
  }
  template <class Prev, class F, class Errors>
  using node = filter_node<Prev, F, Errors>;
};

struct tap_kind {
  static constexpr std::string_view name = "tap";
  template <class F, class T>
  static constexpr void check() {
    static_assert(std::invocable<F&, const T&>,
                  "millrace: tap(f): f cannot be called with what the stage before it gives");
  }
  template <class Prev, class F, class Errors>
  using node = visit_node<Prev, F, true, Errors>;
};

struct flat_map_kind {
  static constexpr std::string_view name = "flat_map";
  template <class F, class T>
  static constexpr void check() {
    static_assert(
        takes_message<F, T> && gives_elements<call_result<F, T>>,
        "millrace: flat_map(f): f cannot be called with what the stage before it gives, or gives neither a "
        "range nor a function that gives a std::optional (unbatch(): the stage before it gives no ranges)");
    if constexpr (keeps_back<F>) {
      static_assert(std::same_as<decltype(std::declval<F&>().finish()), call_result<F, T>>,
                    "millrace: flat_map(f): f.finish() gives something of another type than f(message)");
    }
  }
  template <class Prev, class F, class Errors>
  using node = flat_map_node<Prev, F, Errors>;
};

struct unbatch_kind : flat_map_kind {
  static constexpr std::string_view name = "unbatch";
};

template <class Kind, class F, class How = joins_part, class Errors = fails>
struct joined_stage {
  using is_pipeline_stage = void;
  F f;
  How how{};
  [[no_unique_address]] Errors errors{};

  /// See map.
  template <class... Policies>
    requires error_policies<Policies...>
  auto on_error(Policies... each) && {
    using policy = decltype(make_policy(std::move(each)...));
    return joined_stage<Kind, F, How, policy>{std::move(f), how, make_policy(std::move(each)...)};
  }

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    Kind::template check<F, T>();
    static_assert(
        may_settle<F, T, Errors>,
        "millrace: on_error(): f takes its message away, so that is gone where it throws: let f take "
        "const T&, T& or T");
    const stage_info& stage = from.add_stage(Kind::name, how.name);
    check_copies<F>(how, stage);
    auto to = part_for(std::move(from), how, stage).chained([&](auto&& chain) {
      using node = typename Kind::template node<std::remove_cvref_t<decltype(chain)>, F, Errors>;
      return node(std::move(chain), std::move(f), stage, std::move(errors));
    });
    if constexpr (How::is_joined) {
      return to;
    } else {
      if (how.ordered && how.workers > 1) {
        throw std::invalid_argument(
            "millrace: " + stage.name + " with " + std::to_string(how.workers) +
            " workers cannot be ordered: let map do the work, and unbatch what that gives");
      }
      return std::move(to).sealed();
    }
  }
};

struct buffer_stage {
  using is_pipeline_stage = void;
  std::size_t capacity;
  overflow_policy overflow;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.add_stage("buffer", {});
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
///             its message. map(f).on_error(policy) chooses otherwise: retry, skip, dead_letter(queue), or
///             retry and one of these, which comes when the attempts are used up; after a retry alone, the
///             pipeline fails.
/// Complexity  joins the stages before it: no queue, no allocation. With options, or behind a stage that has
///             some or that waits, it has a queue before it.
template <class F>
auto map(F f) {
  return detail::map_stage<F, detail::joins_part>{std::move(f), {}, {}};
}
template <class F>
auto map(F f, const stage_options& how) {
  return detail::map_stage<F, detail::has_workers>{std::move(f), detail::has_workers(how), {}};
}

/// A stage that gives those messages for which f(const message&) is true.
///
/// As map, without options.
template <class F>
auto filter(F f) {
  return detail::joined_stage<detail::filter_kind, F>{std::move(f)};
}

/// A stage that gives each message after f(const message&).
///
/// As map, without options.
template <class F>
auto tap(F f) {
  return detail::joined_stage<detail::tap_kind, F>{std::move(f)};
}

/// A stage that gives the elements of f(message), one after the other: of a range; or what a function gives, called
/// until the std::optional that it returns is empty. Where f has a member finish(), each worker calls that of its copy
/// at the end of the messages, for what f has kept back: something of the same type.
///
/// As map; but with several workers it cannot be `ordered`: std::invalid_argument, where it is added.
/// Lifetime    the message lives until its last element has been given: what f gives may refer to it. A range
///             that owns its elements is moved from.
/// Errors      where the pipeline ends before all elements have been given, those of a range that owns them go to
///             on_undelivered, else the message does. The same where taking an element throws: the message is the
///             one in hand, and with on_error its elements are given from the first one again.
template <class F>
auto flat_map(F f) {
  return detail::joined_stage<detail::flat_map_kind, F>{std::move(f)};
}
template <class F>
auto flat_map(F f, const stage_options& how) {
  return detail::joined_stage<detail::flat_map_kind, F, detail::has_workers>{std::move(f),
                                                                             detail::has_workers(how)};
}

/// A stage that gives the elements of each message, which is a range.
///
/// As flat_map.
inline auto unbatch() {
  const auto itself = []<class T>(T&& message) { return std::remove_cvref_t<T>(std::move(message)); };
  return detail::joined_stage<detail::unbatch_kind, decltype(itself)>{itself};
}

/// A queue between the stages before and behind it, which then work at the same time. With an overflow
/// policy, the messages that find it full, or the oldest ones in it, go to on_undelivered instead of waiting.
///
/// Errors      std::invalid_argument on capacity 0, where it is added.
inline auto buffer(std::size_t capacity, overflow_policy overflow = overflow_policy::wait) {
  return detail::buffer_stage{capacity, overflow};
}

}  // namespace millrace
