// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/atomic.hpp>
#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/fused_stages.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>
#include <millrace/pipeline/reorder_window.hpp>
#include <millrace/pipeline/shift.hpp>
#include <millrace/pipeline/stage_meter.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/pop_result.hpp>
#include <millrace/task/awaitable.hpp>
#include <millrace/task/detached.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/op_status.hpp>

namespace millrace::detail {

/// The way into an ordered stage: who takes a permit, which is a place in its window, puts a message there.
template <class T, class U>
class ordered_edge final : public pipeline_edge_base {
 public:
  using window_type = reorder_window<T, U, default_traits>;

  ordered_edge(std::size_t capacity, const stage_info& reader)
      : window_(capacity), permits_(capacity), waiting_(capacity), reader_(reader) {
    for (std::size_t i = 0; i < capacity; ++i) give_back(i);
  }

  window_type& window() noexcept { return window_; }
  bounded_queue<std::size_t>& permits() noexcept { return permits_; }
  bounded_queue<std::size_t>& waiting() noexcept { return waiting_; }
  const stage_info& reader() const noexcept override { return reader_; }
  std::size_t depth() const noexcept override { return waiting_.size_approx(); }
  std::size_t capacity() const noexcept override { return waiting_.capacity(); }
  void note_depth() noexcept { this->look(); }

  /// There are as many permits as there is room for.
  void give_back(std::size_t permit) noexcept { static_cast<void>(permits_.try_push(permit)); }

  void close(const std::exception_ptr& why) noexcept override {
    permits_.close(why);
    waiting_.close(why);
  }
  void abandon(pipeline_graph& graph) noexcept override {
    for (std::size_t i = 0; i < window_.size(); ++i) {
      auto& place = window_.at(i);
      if (place.result) {
        graph.lose(*std::move(place.result), reader_);
      } else if (place.message) {
        graph.lose(*std::move(place.message), reader_);
      }
    }
  }

 private:
  window_type window_;
  bounded_queue<std::size_t> permits_;
  bounded_queue<std::size_t> waiting_;
  const stage_info& reader_;
};

/// The output before an ordered stage.
template <class T, class U>
class ordered_output {
 public:
  explicit ordered_output(ordered_edge<T, U>& edge) noexcept : edge_(&edge) { edge.add_writer(); }

  static constexpr std::size_t ways() noexcept { return 1; }
  auto push(T&, std::size_t, std::uint64_t) noexcept { return edge_->permits().pop(); }
  bool has_pushed(pipeline_graph& graph, pop_result<std::size_t>&& permit, T& message,
                  std::uint64_t stamp) noexcept {
    if (!permit) {
      graph.lose(std::move(message), edge_->reader());
      return false;
    }
    auto& place = edge_->window().at(*permit);
    place.message.emplace(std::move(message));
    place.stamp = stamp;
    if (stamp != 0) edge_->note_depth();
    return edge_->waiting().try_push(*permit) == op_status::ok;  // there is room; else the edge gives it away
  }
  void close(const std::exception_ptr& why) noexcept { edge_->end_writer(why); }
  static void enroll(meter_roll&, const tally&) noexcept {}

 private:
  ordered_edge<T, U>* edge_;
};

/// Workers who each take a message from the window, wherever it is; who finishes the one whose turn it is
/// pushes its result, and those after it that are finished, for all.
template <class T, class F, class Errors, class Output>
class ordered_stage final : public pipeline_part {
  using function = waiting_stage<F, T, Errors>;
  using result = typename function::result;
  using edge_type = ordered_edge<T, result>;

 public:
  ordered_stage(pipeline_graph& graph, edge_type& edge, F f, Errors errors, Output output,
                std::size_t workers)
      : pipeline_part(graph), edge_(edge), output_(std::move(output)) {
    crew_.reserve(workers);
    if constexpr (std::is_copy_constructible_v<F>) {
      while (crew_.size() + 1 < workers)
        crew_.push_back(std::make_unique<member>(function(f, edge.reader(), errors)));
    }
    crew_.push_back(std::make_unique<member>(function(std::move(f), edge.reader(), std::move(errors))));
  }

  void prepare() override {
    workers_.reserve(crew_.size());
    meter_roll& roll = graph().roll();
    for (auto& each : crew_) {
      roll.add_crew(each->work_shift.meter());
      const tally& given = each->f.enroll(roll, each->taken);
      output_.enroll(roll, given);
      if (roll.is_on) {
        each->waits = std::make_unique<histogram>();
        roll.waits.push_back({&edge_.reader(), each->waits.get()});
      }
      workers_.push_back(work(*this, *each));
      each->work_shift.enroll(roll, workers_.back(), graph());
    }
  }
  void close_input() noexcept override { edge_.close(nullptr); }
  std::exception_ptr end_reason() const noexcept override { return edge_.waiting().close_reason(); }
  void close_output(const std::exception_ptr& why) noexcept override { output_.close(why); }
  void abandon() noexcept override {}  // what it holds is in the window

 private:
  struct member {
    explicit member(function of) : f(std::move(of)) {}
    function f;
    tally taken;
    std::unique_ptr<histogram> waits;
    std::size_t until_sample = 1;
    shift work_shift;
  };

  static detached work(ordered_stage& self, member& m) {
    const on_shift here(m.work_shift);
    auto& window = self.edge_.window();
    try {
      for (;;) {
        m.work_shift.expects(wait_kind::starved);
        auto index = co_await self.edge_.waiting().pop();
        m.work_shift.woke();
        if (!index || self.is_stopped()) break;
        m.work_shift.expects(wait_kind::works);
        auto& place = window.at(*index);
        m.taken.add();
        std::uint64_t began = 0;
        if (m.waits != nullptr && --m.until_sample == 0) {
          m.until_sample = self.graph().sample_every();
          began = self.graph().stamp();
        }
        if (m.waits != nullptr && place.stamp != 0) {
          m.waits->add(std::chrono::nanoseconds(self.graph().stamp() - place.stamp));
        }
        std::exception_ptr failure;
        try {
          if constexpr (awaitable<decltype(m.f(*place.message))>) {
            place.result.emplace(co_await m.f(*place.message));
          } else {
            place.result.emplace(m.f(*place.message));
          }
          m.work_shift.woke();
          m.f.passed(began);
        } catch (...) {
          m.f.caught();
          if constexpr (function::settles) {
            failure = std::current_exception();
          } else {
            throw;
          }
        }
        if constexpr (function::settles) {
          if (failure) {
            m.work_shift.pauses();
            co_await m.f.recover(*place.message, place.result, std::move(failure));
            m.work_shift.woke();
          }
        }
        place.message.reset();
        if (!window.finish(*index)) continue;
        do {
          window.look();
          while (auto* const next = window.next()) {
            if (function::settles && !next->result) {  // its message is gone
              self.edge_.give_back(window.advance());
              continue;
            }
            result out(*std::move(next->result));
            next->result.reset();
            m.work_shift.expects(wait_kind::blocked);
            auto pushed = co_await self.output_.push(out, 0, began);
            m.work_shift.woke();
            if (!self.output_.has_pushed(self.graph(), std::move(pushed), out, began)) {
              self.graph().give_up(self);
              co_return;  // and nobody is the emitter any more
            }
            self.edge_.give_back(window.advance());
          }
        } while (!window.resign());
      }
    } catch (...) {
      self.graph().fail(self, std::current_exception());
    }
  }

  edge_type& edge_;
  Output output_;
  std::vector<std::unique_ptr<member>> crew_;
};

}  // namespace millrace::detail
