// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/pipeline/stage_info.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/pipeline/undelivered.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/push_result.hpp>
#include <millrace/queue/queue_options.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/task/join_counter.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/timer_thread.hpp>

namespace millrace::detail {

class pipeline_graph;

/// What a pointer points to; of anything else, itself.
template <class T>
auto& pointee_or_self(T& of) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return *of;
  } else {
    return of;
  }
}

/// Whom messages are given to that no sink took.
class message_heir {
 public:
  virtual ~message_heir() = default;
  virtual void inherit(const undelivered& message) noexcept = 0;
};

/// Stages that work on a message one after the other without a queue between them, and the workers that do
/// it.
class pipeline_part {
  // E1  worker end -> last end   all that the workers did, to who closes what is behind them.

 public:
  using traits = default_traits;

  explicit pipeline_part(pipeline_graph& graph) noexcept : graph_(&graph) {}
  pipeline_part(const pipeline_part&) = delete;
  virtual ~pipeline_part() = default;

  /// Makes the workers. Errors: std::bad_alloc.
  virtual void prepare() = 0;
  /// Pushes to this part end `closed`, with their messages.
  virtual void close_input() noexcept = 0;
  /// Why its input was closed, if that was said; once its workers have ended.
  virtual std::exception_ptr end_reason() const noexcept = 0;
  /// No more comes from this part.
  virtual void close_output(const std::exception_ptr& why) noexcept = 0;
  /// Gives away what it still holds, once its workers have ended.
  virtual void abandon() noexcept = 0;

  void launch(executor_ref home) noexcept {
    left_.store(workers_.size(), std::memory_order_relaxed);  // relaxed: no worker runs yet
    for (detached& worker : workers_) {
      std::move(worker).post({.executor = home, .token = stop_.token()}, &ended, this);
    }
  }

  /// Whether what is in work is to be given back.
  bool is_stopped() const noexcept { return stop_.stop_requested(); }
  void stop() noexcept {
    stop_.request_stop();
    close_input();
  }
  /// This part and all that it gets messages from.
  void stop_above() noexcept {
    stop();
    for (pipeline_part* const each : above) each->stop_above();
  }

  /// Before it is started: it belongs to another graph now.
  void move_to(pipeline_graph& graph) noexcept { graph_ = &graph; }

  std::vector<pipeline_part*> above;

 protected:
  pipeline_graph& graph() const noexcept { return *graph_; }

  std::vector<detached> workers_;

 private:
  static void ended(void* of) noexcept;

  pipeline_graph* graph_;
  stop_source stop_;
  traits::atomic<std::size_t> left_{0};
};

/// A queue between two parts.
class pipeline_edge_base {
  // E2  writer gone -> last gone   all that the writers pushed, to who closes the queue.

 public:
  pipeline_edge_base() = default;
  pipeline_edge_base(const pipeline_edge_base&) = delete;
  virtual ~pipeline_edge_base() = default;

  virtual void close(const std::exception_ptr& why) noexcept = 0;
  /// Gives away what is left in it.
  virtual void abandon(pipeline_graph& graph) noexcept = 0;

  virtual const stage_info& reader() const noexcept = 0;
  virtual std::size_t depth() const noexcept = 0;
  virtual std::size_t capacity() const noexcept = 0;
  /// The most that was found in it when somebody looked.
  std::size_t peak() const noexcept { return static_cast<std::size_t>(peak_.get()); }

  void add_writer() noexcept {
    writers_.fetch_add(1, std::memory_order_relaxed);  // relaxed: nothing runs yet
  }
  void end_writer(const std::exception_ptr& why) noexcept {
    if (writers_.fetch_sub(1, std::memory_order_acq_rel) == 1 || why) close(why);  // E2 publish, E2 observe
  }

 protected:
  void look() noexcept { peak_.raise(depth()); }

 private:
  default_traits::atomic<std::size_t> writers_{0};
  tally peak_;  // where two writers raise it at the same time, the higher one may be lost
};

template <class T>
class pipeline_edge final : public pipeline_edge_base {
 public:
  pipeline_edge(std::size_t capacity, overflow_policy overflow, const stage_info& reader)
      : queue_(capacity, {.name = reader.name.c_str(), .overflow = overflow}), reader_(reader) {}

  /// True: that was possible at once, and nobody waited for it.
  bool push_fast(std::optional<T>& message, std::uint64_t stamp) noexcept {
    if (stamp != 0) this->look();
    stamped<T> whole{*std::move(message), stamp};
    if (operation_access::attempt_fast(queue_.push_from(whole))) return true;
    message.emplace(std::move(whole.message));
    return false;
  }
  /// An operation -> push_result<stamped<T>>.
  auto push(T&& message, std::uint64_t stamp) noexcept {
    if (stamp != 0) this->look();
    return queue_.push(stamped<T>{std::move(message), stamp});
  }
  bounded_queue<stamped<T>>& queue() noexcept { return queue_; }

  const stage_info& reader() const noexcept override { return reader_; }
  std::size_t depth() const noexcept override { return queue_.size_approx(); }
  std::size_t capacity() const noexcept override { return queue_.capacity(); }
  void close(const std::exception_ptr& why) noexcept override { queue_.close(why); }
  void abandon(pipeline_graph& graph) noexcept override;

 private:
  bounded_queue<stamped<T>> queue_;
  const stage_info& reader_;
};

/// All parts of a pipeline, and how it ends.
///
/// Threads     built and started by one thread; stop() and what the workers call, by any.
/// Lifetime    goes once nothing runs any more: see counter().
class pipeline_graph {
  //   built --start()--> running --the last worker of the last part ends--> over
  //
  // A part ends when its input is closed and empty, or it is stopped. Its last worker then closes what is
  // behind it, so an end goes down from the sources. A failure goes both ways: downwards as the reason of a
  // closed queue, upwards as a stop of all the parts above. Whoever ends the last part gives away what is
  // left inside, and lets finished() go on.
  //
  // E3  part end -> last end   all that the parts did, to who gives away what they left.

 public:
  using traits = default_traits;

  pipeline_graph() = default;
  pipeline_graph(const pipeline_graph&) = delete;

  stage_info& add_stage(std::string_view kind, std::string_view name) {
    auto stage = std::make_unique<stage_info>();
    stage->graph = this;
    if (name.empty()) {
      stage->name = std::string(kind) + " #" + std::to_string(stages_.size());
    } else {
      stage->name = name;
    }
    stages_.push_back(std::move(stage));
    return *stages_.back();
  }
  stage_info& add_stage(std::string_view kind, std::string_view name, const stage_info& from) {
    stage_info& stage = add_stage(kind, name);
    stage.from.push_back(&from);
    return stage;
  }
  template <class Edge, class... Args>
  Edge& add_edge(Args&&... args) {
    auto edge = std::make_unique<Edge>(std::forward<Args>(args)...);
    Edge& added = *edge;
    edges_.push_back(std::move(edge));
    return added;
  }
  void add_part(std::unique_ptr<pipeline_part> part) { parts_.push_back(std::move(part)); }

  /// Takes all of another graph.
  void absorb(pipeline_graph& other) {
    for (auto& part : other.parts_) part->move_to(*this);
    for (auto& stage : other.stages_) stage->graph = this;
    const auto take = [](auto& to, auto& from) {
      to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
      from.clear();
    };
    take(stages_, other.stages_);
    take(edges_, other.edges_);
    take(parts_, other.parts_);
  }

  /// Times of one message in so many are taken; 0: none. Errors: std::bad_alloc, with nothing started.
  void start(executor_ref home, std::unique_ptr<message_heir> heir, std::size_t sample_every = 0,
             std::size_t most_spans = 0) {
    heir_ = std::move(heir);
    timers_ = home.timers() != nullptr ? home.timers() : &timer_thread::get();
    sample_every_ = sample_every;
    roll_.is_on = sample_every != 0;
    roll_.most_spans = roll_.is_on ? most_spans : 0;
    if (roll_.is_on) began_ = stamp();
    for (auto& part : parts_) part->prepare();
    left_.store(parts_.size(), std::memory_order_relaxed);  // relaxed: nothing runs yet
    counter_.begin();
    for (auto& part : parts_) part->launch(home);
  }

  /// For stages that know the time: that of the executor's timers.
  stage_clock::time_point now() const noexcept { return timers_->now(); }
  /// As stamp(), by timer_service::roughly_now().
  std::uint64_t rough_stamp() const noexcept {
    return static_cast<std::uint64_t>(timers_->roughly_now().time_since_epoch().count()) | 1;
  }
  std::uint64_t stamp() const noexcept {
    return static_cast<std::uint64_t>(now().time_since_epoch().count()) | 1;
  }

  std::size_t sample_every() const noexcept { return sample_every_; }
  meter_roll& roll() noexcept { return roll_; }
  std::uint64_t began() const noexcept { return began_; }
  const auto& stages() const noexcept { return stages_; }
  const auto& edges() const noexcept { return edges_; }

  stop_token intake() const noexcept { return intake_.token(); }
  /// The sources give no more; what is inside goes on.
  void end_intake() noexcept { intake_.request_stop(); }
  void stop() noexcept {
    end_intake();
    for (auto& part : parts_) part->stop();
  }

  /// The first failure is the pipeline's. Not where the part was stopped before: that is why it failed.
  void fail(pipeline_part& at, std::exception_ptr why) noexcept {
    if (at.is_stopped()) return;
    if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = why;  // relaxed: E3 carries error_
    at.close_output(why);
    give_up(at);
  }
  /// For a part whose messages nobody takes any more.
  void give_up(pipeline_part& at) noexcept {
    end_intake();
    at.stop_above();
  }

  template <class T>
  void lose(T&& message, const stage_info& stage) noexcept {
    lost_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter
    if (heir_ != nullptr) heir_->inherit(undelivered(message, stage.name));
  }
  /// For a message that was pushed towards that stage. False: nobody takes it there any more.
  template <class T>
  bool has_passed(push_result<T>&& result, const stage_info& to) noexcept {
    if (result.returned()) lose(message_in(result.value()), to);  // it, or another one that it has displaced
    return result || result.status() == op_status::full;
  }
  /// Whether output's push is done at once, for somebody waits for the message. If not, that is back.
  template <class Output, class T>
  MILLRACE_NOINLINE bool hands_over(Output& output, std::optional<T>& message, std::uint64_t stamp) noexcept {
    auto push = output.push(*message, 0, stamp);
    if (operation_access::attempt_now(push)) {
      auto result = operation_access::take_result(push);
      if (result) return output.has_pushed(*this, std::move(result), *message, stamp);
      message.emplace(message_in(result.value()));
    } else {
      message.emplace(message_in(operation_access::take_step(std::move(push)).message()));
    }
    return false;
  }
  std::size_t lost() const noexcept {
    return lost_.load(std::memory_order_relaxed);  // relaxed: a counter
  }

  void part_ended() noexcept {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // E3 publish, E3 observe
    for (auto& part : parts_) part->abandon();
    for (auto& edge : edges_) edge->abandon(*this);
    counter_.end();  // *this may be gone from here on
  }

  template <class T>
  static T&& message_in(T& message) noexcept {
    return std::move(message);
  }
  template <class T>
  static T&& message_in(stamped<T>& of) noexcept {
    return std::move(of.message);
  }

  // For join_step.
  join_counter<traits>& counter() noexcept { return counter_; }
  void joined() const {
    if (error_) std::rethrow_exception(error_);
  }
  const std::exception_ptr& error() const noexcept { return error_; }

 private:
  std::vector<std::unique_ptr<stage_info>> stages_;
  std::vector<std::unique_ptr<pipeline_edge_base>> edges_;
  stop_source intake_;  // outlives the parts
  std::vector<std::unique_ptr<pipeline_part>> parts_;
  std::unique_ptr<message_heir> heir_;
  timer_service* timers_ = nullptr;  // those of the executor; once it is started
  std::exception_ptr error_;
  traits::atomic<bool> failed_{false};
  traits::atomic<std::size_t> left_{0};
  traits::atomic<std::size_t> lost_{0};
  std::size_t sample_every_ = 0;
  std::uint64_t began_ = 0;
  meter_roll roll_;
  join_counter<traits> counter_;
};

template <class T>
void pipeline_edge<T>::abandon(pipeline_graph& graph) noexcept {
  while (auto message = queue_.try_pop()) graph.lose(std::move(message->message), reader_);
}

inline void pipeline_part::ended(void* of) noexcept {
  auto& self = *static_cast<pipeline_part*>(of);
  if (self.left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // E1 publish, E1 observe
  self.close_output(self.end_reason());
  self.graph_->part_ended();  // self may be gone from here on
}

}  // namespace millrace::detail
