// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timed_nodes.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/modifiers.hpp>

namespace millrace {

namespace detail {

inline void check_time(stage_clock::duration span, const stage_info& stage) {
  if (span > stage_clock::duration::zero()) return;
  throw std::invalid_argument("millrace: " + stage.name + " with a time of " + std::to_string(span.count()) +
                              " ns: ask for more than 0");
}

template <class Timer>
struct batch_stage {
  using is_pipeline_stage = void;
  std::size_t n;
  Timer timer;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.add_stage("batch", {});
    if (n == 0)
      throw std::invalid_argument("millrace: " + stage.name +
                                  " of 0 messages would never be full: ask for 1 or more");
    const auto add = [&](auto&& chain) {
      return batch_node<std::remove_cvref_t<decltype(chain)>, Timer>(std::move(chain), n, stage, timer);
    };
    if constexpr (Timer::is_timed) {
      check_time(timer.span, stage);
      return std::move(from).timed(stage).chained(add);
    } else {
      return std::move(from).opened(stage).chained(add);
    }
  }
};

struct debounce_stage {
  using is_pipeline_stage = void;
  stage_clock::duration quiet;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.add_stage("debounce", {});
    check_time(quiet, stage);
    return std::move(from).gathered(stage).timed(stage).chained([&](auto&& chain) {
      return debounce_node<std::remove_cvref_t<decltype(chain)>>(std::move(chain), quiet, stage);
    });
  }
};

struct throttle_stage {
  using is_pipeline_stage = void;
  double rate;
  std::size_t burst;

  template <class Flow>
  auto attach(Flow&& from) && {
    const stage_info& stage = from.add_stage("throttle", {});
    if (!(rate > 0) || burst == 0)
      throw std::invalid_argument("millrace: " + stage.name + " of " + std::to_string(rate) +
                                  " messages a second, " + std::to_string(burst) +
                                  " at once, would never let any pass: ask for more than 0");
    const stage_clock::duration interval = saturated(std::chrono::duration<double>(1 / rate));
    return std::move(from).gathered(stage).chained([&](auto&& chain) {
      return throttle_node<std::remove_cvref_t<decltype(chain)>>(std::move(chain), interval, burst, stage);
    });
  }
};

}  // namespace detail

/// A stage that gives std::vectors of n messages; the last one, where the pipeline ends, may be smaller.
///
/// As map, without options.
/// Errors      std::invalid_argument on n = 0, where it is added.
/// Complexity  an allocation for each vector.
inline auto batch(std::size_t n) {
  return detail::batch_stage<detail::untimed>{n, {}};
}
/// The same, where a vector leaves at the latest so long after its first message came.
///
/// Errors      std::invalid_argument also on a time that is not positive.
/// Complexity  a look at the clock for each message that finds the stages behind it idle. Behind a stage that
///             has an on_error or throttles, or a source that is no queue, it has a queue before it.
template <class Rep, class Period>
auto batch(std::size_t n, std::chrono::duration<Rep, Period> most) {
  return detail::batch_stage<detail::stage_timer>{n, {detail::saturated(most)}};
}

/// A stage that gives a message once no other has come for so long, and drops those that another has followed
/// sooner. The last one is given where the pipeline ends.
///
/// As batch(n, time); behind by_key it has a queue before it.
template <class Rep, class Period>
auto debounce(std::chrono::duration<Rep, Period> quiet) {
  return detail::debounce_stage{detail::saturated(quiet)};
}

/// A stage that gives `rate` messages a second at most; but where it has given fewer, up to `burst` of them at
/// once.
///
/// Ordering    that of the messages. While one waits, no other is taken.
/// Errors      std::invalid_argument where one of them is not positive, where it is added.
/// Complexity  a look at the clock for each message, and an allocation for each one that waits. Behind by_key
///             it has a queue before it.
inline auto throttle(double rate, std::size_t burst = 1) {
  return detail::throttle_stage{rate, burst};
}

}  // namespace millrace
