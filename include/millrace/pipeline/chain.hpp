// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <millrace/detail/raw_slot.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

namespace millrace::detail {

// A chain is stages that follow each other in one part: each node owns the one before it. A message is put in
// at the start; then next() of the last node pulls, through all of them, the messages that come of it, one at
// a time, until there is none. So a stage may give none, one or many, and nothing is ever buffered for that.
//
//   void put(T&&)                    while next() has nothing to give
//   std::optional<output> next()     where a stage throws, it keeps the message that it had in hand
//   void finish()                    no put() will follow: next() gives what was kept back
//   void abandon(lose)               lose(message, stage) for each message that is inside
//   const stage_info& stage()        the last one

/// Calls f with a message that stays its caller's until f has returned: as an lvalue, so an f that takes T is
/// given a copy. An f that takes T&& owns what it was given, even where it throws.
template <class F, class T>
concept takes_message =
    requires(F& f, T& message) { f(message); } || requires(F& f, T& message) { f(std::move(message)); };

template <class F, class T>
decltype(auto) call(F& f, T& message) {
  if constexpr (requires { f(message); }) {
    return f(message);
  } else {
    return f(std::move(message));
  }
}
template <class F, class T>
using call_result = std::remove_cvref_t<decltype(call(std::declval<F&>(), std::declval<T&>()))>;

/// What leaves a stage that gives nothing.
struct no_message {};

/// State that a copy begins without: a chain is copied for other workers before it runs.
template <class State>
struct uncopied : State {
  uncopied() = default;
  uncopied(const uncopied&) : State() {}
  uncopied(uncopied&&) = default;
};

template <class T>
class chain_start {
 public:
  using output = T;

  explicit chain_start(const stage_info& stage) noexcept : stage_(&stage) {}

  void put(T&& message) noexcept { message_.emplace(std::move(message)); }
  std::optional<T> next() noexcept {
    std::optional<T> out;
    if (message_) out.emplace(*std::move(message_));
    message_.reset();
    return out;
  }
  void finish() noexcept {}
  const stage_info& stage() const noexcept { return *stage_; }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (std::optional<T> message = next()) lose(*std::move(message), *stage_);
  }

 private:
  const stage_info* stage_;
  uncopied<std::optional<T>> message_;
};

/// What the nodes share: the one before, who they are, and the message that they threw at.
template <class Prev>
class chain_node {
 public:
  using input = typename Prev::output;

  void put(auto&& message) noexcept { prev_.put(std::forward<decltype(message)>(message)); }
  void finish() noexcept { prev_.finish(); }
  const stage_info& stage() const noexcept { return *stage_; }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if (failed_) lose(*std::move(failed_), *stage_);
    failed_.reset();
    prev_.abandon(lose);
  }

 protected:
  chain_node(Prev prev, const stage_info& stage) : prev_(std::move(prev)), stage_(&stage) {}

  /// work(message), with the message kept where that throws.
  template <class Work>
  decltype(auto) hold(input& message, Work&& work) {
    try {
      return work();
    } catch (...) {
      failed_.emplace(std::move(message));
      throw;
    }
  }
  Prev prev_;

 private:
  const stage_info* stage_;
  uncopied<std::optional<input>> failed_;
};

template <class Prev, class F>
class map_node : public chain_node<Prev> {
  using input = typename Prev::output;

 public:
  using output = call_result<F, input>;
  static_assert(message_requirements<output>::met);

  map_node(Prev prev, F f, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), f_(std::move(f)) {}

  std::optional<output> next() {
    std::optional<input> message = this->prev_.next();
    if (!message) return std::nullopt;
    return this->hold(*message, [&] { return std::optional<output>(call(f_, *message)); });
  }

 private:
  F f_;
};

template <class Prev, class F>
class filter_node : public chain_node<Prev> {
 public:
  using output = typename Prev::output;

  filter_node(Prev prev, F f, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      std::optional<output> message = this->prev_.next();
      if (!message || this->hold(*message, [&] { return static_cast<bool>(f_(std::as_const(*message))); })) {
        return message;
      }
    }
  }

 private:
  F f_;
};

/// f sees each message; where it is the last stage, none goes on.
template <class Prev, class F, bool GoesOn>
class visit_node : public chain_node<Prev> {
  using input = typename Prev::output;

 public:
  using output = std::conditional_t<GoesOn, input, no_message>;

  visit_node(Prev prev, F f, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      std::optional<input> message = this->prev_.next();
      if (!message) return std::nullopt;
      if constexpr (GoesOn) {
        this->hold(*message, [&] { static_cast<void>(f_(std::as_const(*message))); });
        return message;
      } else {
        this->hold(*message, [&] { static_cast<void>(call(f_, *message)); });
      }
    }
  }

 private:
  F f_;
};

/// Whether what a range of this type gives is its own, and may be moved from.
template <class Range>
inline constexpr bool owns_elements =
    std::is_lvalue_reference_v<decltype(*std::begin(std::declval<Range&>()))> &&
    !std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<Range&>()))>> &&
    std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<const Range&>()))>>;

/// The elements of f(message), which is a range.
template <class Prev, class F>
class flat_map_node : public chain_node<Prev> {
  using input = typename Prev::output;
  using range = call_result<F, input>;
  using iterator = decltype(std::begin(std::declval<range&>()));
  using sentinel = decltype(std::end(std::declval<range&>()));

 public:
  using output = std::remove_cvref_t<decltype(*std::declval<iterator&>())>;
  static_assert(message_requirements<output>::met);

  flat_map_node(Prev prev, F f, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), f_(std::move(f)) {}

  std::optional<output> next() {
    for (;;) {
      if (elements_) {
        if (std::optional<output> element = elements_->next()) return element;
        elements_.reset();
        message_.reset();
      }
      std::optional<input> message = this->prev_.next();
      if (!message) return std::nullopt;
      message_.emplace(*std::move(message));  // the range may refer to it
      this->hold(*message_, [&] { elements_.emplace(call(f_, *message_)); });
    }
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    while (elements_) {
      std::optional<output> element = elements_->next();
      if (!element) break;
      lose(*std::move(element), this->stage());
    }
    elements_.reset();
    chain_node<Prev>::abandon(lose);
  }

 private:
  struct elements {
    explicit elements(range&& from) : of(std::move(from)), at(std::begin(of)), end(std::end(of)) {}

    std::optional<output> next() {
      std::optional<output> element;
      if (at == end) return element;
      if constexpr (owns_elements<range>) {
        element.emplace(std::move(*at));
      } else {
        element.emplace(*at);
      }
      ++at;
      return element;
    }

    range of;
    iterator at;
    sentinel end;
  };

  F f_;
  uncopied<std::optional<input>> message_;
  uncopied<std::optional<elements>> elements_;
};

/// Groups of n messages; the last one may be smaller.
template <class Prev>
class batch_node : public chain_node<Prev> {
  using input = typename Prev::output;

 public:
  using output = std::vector<input>;

  batch_node(Prev prev, std::size_t n, const stage_info& stage)
      : chain_node<Prev>(std::move(prev), stage), n_(n) {}

  std::optional<output> next() {
    for (;;) {
      if (kept_.capacity() < n_) kept_.reserve(n_);  // before a message is in hand
      std::optional<input> message = this->prev_.next();
      if (!message) break;
      kept_.push_back(*std::move(message));
      if (kept_.size() == n_) return take();
    }
    if (is_last_ && !kept_.empty()) return take();
    return std::nullopt;
  }
  void finish() noexcept {
    chain_node<Prev>::finish();
    is_last_ = true;
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    for (input& message : kept_) lose(std::move(message), this->stage());
    kept_.clear();
    chain_node<Prev>::abandon(lose);
  }

 private:
  output take() noexcept { return std::exchange(static_cast<output&>(kept_), {}); }

  const std::size_t n_;
  uncopied<output> kept_;
  bool is_last_ = false;
};

}  // namespace millrace::detail
