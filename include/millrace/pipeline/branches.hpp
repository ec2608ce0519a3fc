// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/flow.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/source.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/stage_options.hpp>
#include <millrace/queue/push_result.hpp>

namespace millrace {

namespace detail {

/// Several queues between parts.
template <class T, std::size_t N>
class branch_output {
 public:
  branch_output(pipeline_graph& graph, const stage_info& stage) : stage_(&stage) {
    for (auto& edge : edges_) {
      edge = &graph.add_edge<pipeline_edge<T>>(stage_options().capacity, overflow_policy::wait, stage);
      edge->add_writer();
    }
  }

  bool has_pushed(pipeline_graph& graph, push_result<stamped<T>>&& result, T&, std::uint64_t) noexcept {
    return graph.has_passed(std::move(result), *stage_);
  }
  void enroll(meter_roll& roll, const tally& given) const { roll.add(*stage_, given, nullptr); }
  void close(const std::exception_ptr& why) noexcept {
    for (pipeline_edge<T>* const edge : edges_) edge->end_writer(why);
  }
  pipeline_edge<T>& edge(std::size_t i) noexcept { return *edges_[i]; }

 private:
  std::array<pipeline_edge<T>*, N> edges_;
  const stage_info* stage_;
};

/// Each message goes to all of them: copies, and to the last one itself.
template <class T, std::size_t N>
class tee_output : public branch_output<T, N> {
 public:
  using branch_output<T, N>::branch_output;
  static constexpr std::size_t ways() noexcept { return N; }
  auto push(T& message, std::size_t way, std::uint64_t stamp) {
    return this->edge(way).push(way + 1 == N ? T(std::move(message)) : T(std::as_const(message)), stamp);
  }
};

/// Each message goes to one of two: that for which f is true, or the other.
template <class T, class F>
class partition_output : public branch_output<T, 2> {
 public:
  partition_output(pipeline_graph& graph, const stage_info& stage, F f)
      : branch_output<T, 2>(graph, stage), f_(std::move(f)) {}
  static constexpr std::size_t ways() noexcept { return 1; }
  auto push(T& message, std::size_t, std::uint64_t stamp) {
    const std::size_t to = f_(std::as_const(message)) ? 0 : 1;
    return this->edge(to).push(std::move(message), stamp);
  }

 private:
  F f_;
};

/// Ends the flow with this output, and each branch begins behind it.
template <class Flow, class Output, class... Branches>
pipeline<void> branch(Flow&& from, Output output, const stage_info& stage, std::tuple<Branches...> branches) {
  using T = typename std::remove_cvref_t<Flow>::value_type;
  auto outs = output;  // the same edges
  pipeline_part& above = from.close(std::move(output));
  const std::shared_ptr<pipeline_graph> graph = from.release();
  std::size_t i = 0;
  std::apply(
      [&](auto&&... each) {
        const auto attach = [&](auto&& to) {
          using open = flow<edge_input<T>, chain_start<T>>;
          auto end = std::move(to).attach(
              open(graph, edge_input<T>(outs.edge(i++)), chain_start<T>(stage), {}, 1, {&above}));
          static_assert(std::same_as<decltype(end), pipeline<void>>,
                        "millrace: tee, partition: a branch ends with a sink that has no result: "
                        "into(queue), for_each(f)");
        };
        (attach(std::move(each)), ...);
      },
      std::move(branches));
  return pipeline<void>(graph, nullptr);
}

template <class... Branches>
struct tee_stage {
  using is_pipeline_stage = void;
  std::tuple<Branches...> branches;

  template <class Flow>
  pipeline<void> attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(std::copy_constructible<T>, "millrace: tee: its messages are copied for the branches");
    const stage_info& stage = from.add_stage("tee", {});
    auto open = std::move(from).opened(stage);
    tee_output<T, sizeof...(Branches)> output(open.graph(), stage);
    return branch(std::move(open), std::move(output), stage, std::move(branches));
  }
};

template <class F, class Then, class Otherwise>
struct partition_stage {
  using is_pipeline_stage = void;
  F f;
  std::tuple<Then, Otherwise> branches;

  template <class Flow>
  pipeline<void> attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(std::predicate<F&, const T&>,
                  "millrace: partition(f): f cannot be asked about what the stage before it gives");
    const stage_info& stage = from.add_stage("partition", {});
    auto open = std::move(from).gathered(stage);
    partition_output<T, F> output(open.graph(), stage, std::move(f));
    return branch(std::move(open), std::move(output), stage, std::move(branches));
  }
};

/// Each message goes to the queue of its key.
template <class T, class Key>
class shard_output {
 public:
  shard_output(std::vector<pipeline_edge<T>*> edges, Key key, const stage_info& stage)
      : edges_(std::move(edges)), key_(std::move(key)), stage_(&stage) {
    for (pipeline_edge<T>* const edge : edges_) edge->add_writer();
  }

  static constexpr std::size_t ways() noexcept { return 1; }
  auto push(T& message, std::size_t, std::uint64_t stamp) {
    const std::size_t shard = hash_of(key_(std::as_const(message))) % edges_.size();
    return edges_[shard]->push(std::move(message), stamp);
  }
  bool has_pushed(pipeline_graph& graph, push_result<stamped<T>>&& result, T&, std::uint64_t) noexcept {
    return graph.has_passed(std::move(result), *stage_);
  }
  void enroll(meter_roll& roll, const tally& given) const { roll.add(*stage_, given, nullptr); }
  void close(const std::exception_ptr& why) noexcept {
    for (pipeline_edge<T>* const edge : edges_) edge->end_writer(why);
  }

 private:
  template <class K>
  static std::size_t hash_of(const K& key) {
    return std::hash<K>()(key);
  }

  std::vector<pipeline_edge<T>*> edges_;
  Key key_;
  const stage_info* stage_;
};

template <class Key>
struct by_key_stage {
  using is_pipeline_stage = void;
  Key key;
  std::size_t shards;

  template <class Flow>
  auto attach(Flow&& from) && {
    using T = typename Flow::value_type;
    static_assert(
        requires(Key& of, const T& message) {
          std::hash<std::remove_cvref_t<decltype(of(message))>>()(of(message));
        }, "millrace: by_key(key, shards): key(const message&) gives the key, and std::hash knows its type");
    const stage_info& stage = from.add_stage("by_key", {});
    if (shards == 0)
      throw std::invalid_argument("millrace: " + stage.name +
                                  " with 0 shards would never get a message: ask for 1 or more");
    auto open = std::move(from).gathered(stage);
    std::vector<pipeline_edge<T>*> edges;
    for (std::size_t i = 0; i < shards; ++i) {
      edges.push_back(&open.graph().template add_edge<pipeline_edge<T>>(stage_options().capacity,
                                                                        overflow_policy::wait, stage));
    }
    pipeline_part& above = open.close(shard_output<T, Key>(edges, std::move(key), stage));
    return flow<lane_input<T>, chain_start<T>>(open.release(), lane_input<T>(std::move(edges)),
                                               chain_start<T>(stage), {}, shards, {&above});
  }
};

}  // namespace detail

/// The end of a pipeline in several branches, each of which gets a copy of every message: tee(into(a), map(f)
/// | into(b)).
///
/// Ordering    in each branch, that of the messages.
/// Errors      where one branch ends early, all do.
/// Complexity  a queue of 64 messages before each branch; the slowest one holds back the others.
template <class... Branches>
  requires(sizeof...(Branches) > 0 && (detail::pipeline_stage<Branches> && ...))
auto tee(Branches... branches) {
  return detail::tee_stage<Branches...>{{std::move(branches)...}};
}

/// The end of a pipeline in two branches: one for the messages of which f(const message&) is true, one for
/// the others.
///
/// As tee; nothing is copied.
template <class F, detail::pipeline_stage Then, detail::pipeline_stage Otherwise>
auto partition(F f, Then then, Otherwise otherwise) {
  return detail::partition_stage<F, Then, Otherwise>{std::move(f), {std::move(then), std::move(otherwise)}};
}

/// Divides the messages among so many workers by their keys: key(const message&). The stages behind it, up to
/// the next one that has a queue before it, have a copy of their functions for each of these workers, and all
/// messages of one key come to the same one, in order. fold, collect, tee, partition and another by_key have
/// such a queue.
///
/// Errors      std::invalid_argument on 0 shards, where it is added; and where a function cannot be copied.
/// Complexity  a queue of 64 messages before each worker; one that is full holds back the others.
template <class Key>
auto by_key(Key key, std::size_t shards) {
  return detail::by_key_stage<Key>{std::move(key), shards};
}

/// The beginning of a pipeline from several: their messages, each one's in order. It ends where all of them
/// have.
template <class First, class... Others>
  requires requires { typename First::is_pipeline_flow; }
auto merge(First first, Others... others) {
  using T = typename First::value_type;
  static_assert((std::same_as<T, typename Others::value_type> && ...),
                "millrace: merge: the pipelines have messages of different types");
  const std::shared_ptr<detail::pipeline_graph> graph = first.share();
  detail::stage_info& stage = first.add_stage("merge", {});
  auto& edge =
      graph->add_edge<detail::pipeline_edge<T>>(stage_options().capacity, overflow_policy::wait, stage);
  std::vector<detail::pipeline_part*> above{&first.close(detail::edge_output<T>(edge))};
  const auto join = [&](auto& other) {
    stage.from.push_back(&other.last());
    above.push_back(&other.close(detail::edge_output<T>(edge)));
    graph->absorb(*other.release());
  };
  (join(others), ...);
  return detail::flow<detail::edge_input<T>, detail::chain_start<T>>(
      graph, detail::edge_input<T>(edge), detail::chain_start<T>(stage), {}, 1, std::move(above));
}

}  // namespace millrace
