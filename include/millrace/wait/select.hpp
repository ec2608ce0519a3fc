// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include <millrace/detail/thread_context.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/step.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace {

/// What a select came to: which operation was done, and the results of all: those that were not say
/// `cancelled`, a push among them with its message back.
template <class... Results>
class [[nodiscard]] selected {
 public:
  static constexpr std::size_t none = ~std::size_t{0};

  selected(std::size_t index, Results&&... results) noexcept
      : index_(index), results_(std::move(results)...) {}

  /// The place in select(...) of the one that was done. `none`: a stop or a deadline of the whole came
  /// first, which the results then say, or each was left out by when().
  std::size_t index() const noexcept { return index_; }

  template <std::size_t I>
  auto& get() & noexcept {
    return std::get<I>(results_);
  }
  template <std::size_t I>
  const auto& get() const& noexcept {
    return std::get<I>(results_);
  }
  template <std::size_t I>
  auto&& get() && noexcept {
    return std::get<I>(std::move(results_));
  }

 private:
  std::size_t index_;
  std::tuple<Results...> results_;
};

namespace detail {

template <class Operation>
struct conditional_operation {
  Operation operation;
  bool is_wanted;
};

/// The step of select: one of the steps is done, and the others are left as they were.
template <bool Biased, class... Steps>
class select_step {
  // It first tries all. To sleep, it lists a waiter for each step, all in one contest, in the order of the
  // addresses at which they park. A step that need not wait after all ends that: select withdraws what it
  // has listed, unless one of those was served meanwhile, and tries again.
  //
  // Two selects may wait for each other (queues without a buffer): whoever comes second to the first
  // address that they share finds the other one there, backs out, and serves it: the order of addresses
  // keeps the two from backing out for each other for ever.

  static_assert((!continuing_step<Steps> && ...),
                "millrace: push_range pushes one after the other, and a select does all of an operation or "
                "nothing: select a push of one message");

  static constexpr std::size_t count = sizeof...(Steps);
  static constexpr auto all = std::make_index_sequence<count>();

 public:
  using traits = typename std::tuple_element_t<0, std::tuple<Steps...>>::traits;
  using result_type = selected<typename Steps::result_type...>;
  static constexpr bool has_branches = true;

  explicit select_step(conditional_operation<operation<Steps>>&&... branches) noexcept
      : steps_(operation_access::take_step(std::move(branches.operation))...),
        is_wanted_{branches.is_wanted...} {}

  bool attempt_fast() noexcept { return attempt(); }

  bool attempt() noexcept {
    std::size_t order[count];
    const std::size_t wanted = list_wanted(order);
    if (wanted == 0) return true;
    if constexpr (!Biased) shuffle(order, wanted);
    for (std::size_t i = 0; i < wanted; ++i) {
      if (!with_step(order[i], [](auto& step) noexcept { return step.attempt(); })) continue;
      done_ = order[i];
      return true;
    }
    return false;
  }

  bool park(waiter<traits>& w) noexcept {
    std::size_t order[count];
    const std::size_t wanted = list_wanted(order);
    sort_by_address(order, wanted);
    for (std::size_t i = 0; i < wanted; ++i) {
      waiter<traits>& branch = branches_[order[i]];
      branch.home = w.home;
      branch.contest = w.contest;
      if (with_step(order[i], [&](auto& step) noexcept { return step.park(branch); })) continue;
      if (!w.contest->take()) return true;  // another branch is being served: arm() will tell
      withdraw_all();
      w.contest->reset();
      return false;
    }
    return true;
  }

  bool withdraw(waiter<traits>& w) noexcept {
    withdraw_all();
    const waiter<traits>* const winner = w.contest->winner();
    for (std::size_t i = 0; i < count; ++i) {
      if (&branches_[i] == winner) done_ = i;
    }
    return winner == nullptr;
  }

  void refuse(op_status why) noexcept { why_ = why; }
  void relieve(waiter<traits>&) noexcept { relieve(all); }
  /// One of the steps was served for somebody who will not take it.
  void lose() noexcept {
    with_step(done_, [](auto& step) noexcept {
      if constexpr (requires { step.lose(); }) step.lose();
      return true;
    });
  }
  const void* parks_at() const noexcept { return this; }

  result_type take_result() noexcept(noexcept((std::declval<Steps&>().take_result(), ...))) {
    return take(all);
  }

 private:
  /// A waiter that is made anew where the operation is moved, before it is run.
  struct branch_waiter : waiter<traits> {
    branch_waiter() noexcept = default;
    branch_waiter(branch_waiter&&) noexcept : waiter<traits>() {}
  };

  template <class F>
  bool with_step(std::size_t index, F f) noexcept {
    return [&]<std::size_t... I>(std::index_sequence<I...>) noexcept {
      bool result = false;
      static_cast<void>(((I == index && (result = f(std::get<I>(steps_)), true)) || ...));
      return result;
    }(all);
  }

  void withdraw_all() noexcept {
    [&]<std::size_t... I>(std::index_sequence<I...>) noexcept {
      (std::get<I>(steps_).withdraw(branches_[I]), ...);
    }(all);
  }

  template <std::size_t... I>
  void relieve(std::index_sequence<I...>) noexcept {
    (relieve(std::get<I>(steps_), branches_[I]), ...);
  }
  template <class Step>
  static void relieve(Step& step, waiter<traits>& branch) noexcept {
    if constexpr (dutiful_step<Step>) step.relieve(branch);
  }

  template <std::size_t... I>
  result_type take(std::index_sequence<I...>) {
    ((I == done_ ? void() : std::get<I>(steps_).refuse(why_)), ...);
    return result_type(done_, std::get<I>(steps_).take_result()...);
  }

  std::size_t list_wanted(std::size_t (&order)[count]) const noexcept {
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (is_wanted_[i]) order[wanted++] = i;
    }
    return wanted;
  }

  static void shuffle(std::size_t (&order)[count], std::size_t n) noexcept {
    std::uint32_t& random = traits::this_thread().random;
    for (std::size_t i = n; i > 1; --i) {
      random ^= random << 13;  // xorshift: Marsaglia, 2003
      random ^= random >> 17;
      random ^= random << 5;
      std::swap(order[i - 1], order[random % i]);
    }
  }

  void sort_by_address(std::size_t (&order)[count], std::size_t n) noexcept {
    const void* address[count] = {};
    [&]<std::size_t... I>(std::index_sequence<I...>) noexcept {
      ((address[I] = std::get<I>(steps_).parks_at()), ...);
    }(all);
    for (std::size_t i = 1; i < n; ++i) {
      for (std::size_t k = i; k > 0 && before(address[order[k]], address[order[k - 1]]); --k) {
        std::swap(order[k], order[k - 1]);
      }
    }
  }
  static bool before(const void* a, const void* b) noexcept {
    return reinterpret_cast<std::uintptr_t>(a) < reinterpret_cast<std::uintptr_t>(b);
  }

  std::tuple<Steps...> steps_;
  branch_waiter branches_[count];
  bool is_wanted_[count];
  std::size_t done_ = result_type::none;
  op_status why_ = op_status::cancelled;
};

template <class Step>
conditional_operation<operation<Step>> select_branch(operation<Step>&& op) noexcept {
  return {std::move(op), true};
}
template <class Step>
conditional_operation<operation<Step>> select_branch(conditional_operation<operation<Step>>&& op) noexcept {
  return std::move(op);
}
template <class Step, class Token>
auto select_branch(operation<Step, modified<Token>>&&) {  // auto: so that no error comes before this one
  static_assert(!std::is_same_v<Step, Step>,
                "millrace: .on(), .with(), .within() and .until() belong to the whole select, not to one of "
                "its operations: select(a, b).within(d)");
}

template <bool Biased, class... Steps>
auto make_select(conditional_operation<operation<Steps>>&&... branches) noexcept {
  using step = select_step<Biased, Steps...>;
  return operation<step>(std::in_place_type<step>, std::move(branches)...);
}

}  // namespace detail

/// In select: leaves the operation out unless the condition holds.
template <class Step>
detail::conditional_operation<operation<Step>> when(bool condition, operation<Step> op) noexcept {
  return {std::move(op), condition};
}

/// Operation -> selected: does exactly one of these operations, whichever can be done first, on any
/// queues; the others leave their queues and arguments alone. One of those that can be done at once is
/// picked at random. A closed queue is something that can be done: its result says so. Not for push_range,
/// which may do a part.
///
/// Progress    each queue's; the locks of several queues are never held together.
/// Complexity  linear in the number of operations; allocates nothing.
template <class... Operations>
auto select(Operations&&... operations) noexcept {
  static_assert(sizeof...(Operations) > 0, "millrace: a select of nothing would wait for ever");
  static_assert(
      (!std::is_lvalue_reference_v<Operations> && ...),
      "millrace: an operation runs once, so a stored one is given away: select(std::move(operation))");
  return detail::make_select<false>(detail::select_branch(std::move(operations))...);
}

/// As select, but of those that can be done at once it does the leftmost.
template <class... Operations>
auto select_biased(Operations&&... operations) noexcept {
  static_assert(sizeof...(Operations) > 0, "millrace: a select of nothing would wait for ever");
  static_assert(
      (!std::is_lvalue_reference_v<Operations> && ...),
      "millrace: an operation runs once, so a stored one is given away: select_biased(std::move(operation))");
  return detail::make_select<true>(detail::select_branch(std::move(operations))...);
}

}  // namespace millrace
