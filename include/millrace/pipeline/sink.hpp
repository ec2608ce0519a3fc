// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/function_nodes.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/stage_options.hpp>
#include <millrace/queue/producer.hpp>

namespace millrace {

namespace detail {

template <class Queue>
struct into_stage {
  using is_pipeline_stage = void;
  Queue queue;

  template <class Flow>
  auto attach(Flow&& from) && {
    using output = queue_output<Queue>;
    static_assert(
        std::same_as<typename Flow::value_type, typename output::value_type>,
        "millrace: into(queue): the queue has messages of another type than the stage before it gives");
    const stage_info& stage = from.add_stage("into", {});
    from.close(output(std::move(queue), stage));
    return pipeline<void>(from.release(), nullptr);
  }
};

template <class F, class How, class Errors = fails>
struct for_each_stage {
  using is_pipeline_stage = void;
  F f;
  How how;
  [[no_unique_address]] Errors errors{};

  /// See map.
  template <class... Policies>
    requires error_policies<Policies...>
  auto on_error(Policies... each) && {
    using policy = decltype(make_policy(std::move(each)...));
    return for_each_stage<F, How, policy>{std::move(f), how, make_policy(std::move(each)...)};
  }

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(takes_message<F, T>,
                  "millrace: for_each(f): f cannot be called with what the stage before it gives");
    static_assert(
        may_settle<F, T, Errors>,
        "millrace: for_each(f).on_error(): f takes its message away, so that is gone where it throws: "
        "let f take const T&, T& or T");
    const stage_info& stage = from.add_stage("for_each", how.name);
    check_copies<F>(how, stage);
    auto part = part_for(std::move(from), how, stage);
    if constexpr (gives_awaitable<F, T>) {
      auto last =
          std::move(part).waiting(waiting_stage<F, T, Errors>(std::move(f), stage, std::move(errors)));
      last.close(no_output());
      return pipeline<void>(last.release(), nullptr);
    } else {
      auto last = std::move(part).chained([&](auto&& chain) {
        return visit_node<std::remove_cvref_t<decltype(chain)>, F, false, Errors>(
            std::move(chain), std::move(f), stage, std::move(errors));
      });
      last.close(no_output());
      return pipeline<void>(last.release(), nullptr);
    }
  }
};

template <class Result, class F>
struct fold_stage {
  using is_pipeline_stage = void;
  Result init;
  F f;
  std::string_view kind;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(
        requires(Result& so_far, T& message) { f(so_far, message); },
        "millrace: fold(init, f): f cannot be called with (so far&, message&)");
    const stage_info& stage = from.add_stage(kind, {});
    auto result = std::make_unique<Result>(std::move(init));
    auto step = [so_far = result.get(), fold = std::move(f)](T& message) mutable { fold(*so_far, message); };
    auto last = std::move(from).gathered(stage).chained([&](auto&& chain) {
      return visit_node<std::remove_cvref_t<decltype(chain)>, decltype(step), false>(std::move(chain),
                                                                                     std::move(step), stage);
    });
    last.close(no_output());
    return pipeline<Result>(last.release(), std::move(result));
  }
};

struct collect_stage {
  using is_pipeline_stage = void;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    const auto append = [](std::vector<T>& all, T& message) { all.push_back(std::move(message)); };
    return fold_stage<std::vector<T>, decltype(append)>{{}, append, "collect"}.attach(std::move(from));
  }
};

}  // namespace detail

/// A sink that pushes the messages into a queue, and closes it at the end of the pipeline; with the reason,
/// where that failed.
///
/// Lifetime    the queue outlives the pipeline. Where it is closed before, the pipeline stops.
template <class Queue>
  requires requires(Queue& queue, typename Queue::value_type m) { queue.push(std::move(m)); }
auto into(Queue& queue) {
  return detail::into_stage<Queue*>{&queue};
}
/// The same for a producer, which the pipeline keeps.
template <class T, class Queue>
auto into(producer<T, Queue> queue) {
  return detail::into_stage<producer<T, Queue>>{std::move(queue)};
}

/// A sink that calls, or awaits, f(message) for each message.
///
/// As map.
template <class F>
auto for_each(F f) {
  return detail::for_each_stage<F, detail::joins_part>{std::move(f), {}, {}};
}
template <class F>
auto for_each(F f, const stage_options& how) {
  return detail::for_each_stage<F, detail::has_workers>{std::move(f), detail::has_workers(how), {}};
}

/// A sink that calls f(so_far, message) for each message, to change so_far, which begins as init and is the
/// pipeline's result in the end.
///
/// As map, without options.
template <class Result, class F>
auto fold(Result init, F f) {
  return detail::fold_stage<Result, F>{std::move(init), std::move(f), "fold"};
}

/// A sink whose result is a std::vector of all messages.
///
/// As fold.
inline auto collect() {
  return detail::collect_stage{};
}

}  // namespace millrace
