// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/raw_slot.hpp>
#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

namespace millrace::detail {

// The nodes of a chain that call a function of the user's.

template <class Prev, class F, class Errors = fails>
class map_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;

 public:
  using output = call_result<F, input>;
  static_assert(message_requirements<output>::met);

  map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  bool next(std::optional<output>& to) {
    std::optional<input> message;
    if (!this->take(message)) return false;
    try {
      const std::uint64_t began = this->begin();
      to.emplace(call(f_, *message));
      this->passed(began);
      this->gave();
      return true;
    } catch (...) {
      this->caught(*message);
      return false;
    }
  }

 private:
  F f_;
};

template <class Prev, class F, class Errors = fails>
class filter_node : public chain_node<Prev, Errors> {
 public:
  using output = typename Prev::output;

  filter_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  bool next(std::optional<output>& to) {
    for (;;) {
      if (!this->take(to)) return false;
      try {
        const std::uint64_t began = this->begin();
        const bool passes = f_(std::as_const(*to));
        this->passed(began);
        if (passes) {
          this->gave();
          return true;
        }
      } catch (...) {
        this->caught(*to);
        to.reset();
        return false;
      }
      to.reset();
    }
  }

 private:
  F f_;
};

/// f sees each message; where it is the last stage, none goes on.
template <class Prev, class F, bool GoesOn, class Errors = fails>
class visit_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;

 public:
  using output = std::conditional_t<GoesOn, input, no_message>;

  visit_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  bool next(std::optional<output>& to) {
    for (;;) {
      std::optional<input> message;
      if (!this->take(message)) return false;
      try {
        const std::uint64_t began = this->begin();
        if constexpr (GoesOn) {
          static_cast<void>(f_(std::as_const(*message)));
        } else {
          static_cast<void>(call(f_, *message));
        }
        this->passed(began);
        this->gave();
      } catch (...) {
        this->caught(*message);
        return false;
      }
      if constexpr (GoesOn) {
        to.emplace(*std::move(message));
        return true;
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
template <class Prev, class F, class Errors = fails>
class flat_map_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;
  using range = call_result<F, input>;
  using iterator = decltype(std::begin(std::declval<range&>()));
  using sentinel = decltype(std::end(std::declval<range&>()));

 public:
  using output = std::remove_cvref_t<decltype(*std::declval<iterator&>())>;
  static_assert(message_requirements<output>::met);

  flat_map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  bool next(std::optional<output>& to) {
    for (;;) {
      if (elements_) {
        if (elements_->next(to)) {
          this->gave();
          return true;
        }
        elements_.reset();
        message_.reset();
      }
      if (!this->take(message_)) return false;  // the range may refer to it
      try {
        const std::uint64_t began = this->begin();
        elements_.emplace(call(f_, *message_));
        this->passed(began);
      } catch (...) {
        this->caught(*message_);
        message_.reset();
        return false;
      }
    }
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    while (elements_) {
      std::optional<output> element;
      if (!elements_->next(element)) break;
      lose(*std::move(element), this->stage());
    }
    elements_.reset();
    chain_node<Prev, Errors>::abandon(lose);
  }

 private:
  struct elements {
    explicit elements(range&& from) : of(std::move(from)), at(std::begin(of)), end(std::end(of)) {}

    bool next(std::optional<output>& to) {
      if (at == end) return false;
      if constexpr (owns_elements<range>) {
        to.emplace(std::move(*at));
      } else {
        to.emplace(*at);
      }
      ++at;
      return true;
    }

    range of;
    iterator at;
    sentinel end;
  };

  F f_;
  uncopied<std::optional<input>> message_;
  uncopied<std::optional<elements>> elements_;
};

}  // namespace millrace::detail
