// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <millrace/detail/macros.hpp>
#include <millrace/detail/raw_slot.hpp>
#include <millrace/pipeline/chain.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/pipeline_graph.hpp>

namespace millrace::detail {

// The nodes of a chain that call a function of the user's. Inlined: a call for each would cost as much as what it does.

template <class Prev, class F, class Errors = fails>
class map_node : public chain_node<Prev, Errors> {
  using input = typename Prev::output;

 public:
  using output = call_result<F, input>;
  static_assert(message_requirements<output>::met);

  map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : chain_node<Prev, Errors>(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  MILLRACE_ALWAYS_INLINE bool next(std::optional<output>& to) {
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

  MILLRACE_ALWAYS_INLINE bool next(std::optional<output>& to) {
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

  MILLRACE_ALWAYS_INLINE bool next(std::optional<output>& to) {
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
inline constexpr bool owns_elements = false;
template <class Range>
  requires requires(Range& r, const Range& c) { *std::begin(r), *std::begin(c); }
inline constexpr bool owns_elements<Range> =
    std::is_lvalue_reference_v<decltype(*std::begin(std::declval<Range&>()))> &&
    !std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<Range&>()))>> &&
    std::is_const_v<std::remove_reference_t<decltype(*std::begin(std::declval<const Range&>()))>>;

template <class R>
concept element_range = requires(R& r) {
  std::begin(r);
  std::end(r);
};
/// A function that is called for each element: it returns an optional, which is empty at the end.
template <class G>
concept element_function = !element_range<G> && requires(G& g) {
  typename std::invoke_result_t<G&>::value_type;
  *g();
  static_cast<bool>(g());
};

template <class From>
concept gives_elements = element_range<From> || element_function<From>;

/// What a range or such a function gives, one after the other. It stays where it is.
template <class From>
class elements {
  using iterator = decltype(std::begin(std::declval<From&>()));
  using sentinel = decltype(std::end(std::declval<From&>()));

 public:
  using value_type = std::remove_cvref_t<decltype(*std::declval<iterator&>())>;

  explicit elements(From&& from) : of_(std::move(from)), at_(std::begin(of_)), end_(std::end(of_)) {}

  /// True: it has filled `to`, which was empty.
  bool next(std::optional<value_type>& to) {
    if (std::exchange(has_given_, true)) ++at_;
    if (at_ == end_) return has_given_ = false;
    if constexpr (owns_elements<From>) {
      to.emplace(std::move(*at_));
    } else {
      to.emplace(*at_);
    }
    return true;
  }

 private:
  From of_;
  iterator at_;
  sentinel end_;
  bool has_given_ = false;  // the element at at_
};

template <element_function From>
class elements<From> {
 public:
  using value_type = typename std::invoke_result_t<From&>::value_type;

  explicit elements(From&& from) : of_(std::move(from)) {}

  bool next(std::optional<value_type>& to) {
    auto given = of_();
    if (!given) return false;
    to.emplace(*std::move(given));
    return true;
  }

 private:
  From of_;
};

/// A function that keeps something back until the end, when it is asked for that.
template <class F>
concept keeps_back = requires(F& f) { f.finish(); };

/// The elements of what f(message) gives, and in the end f.finish().
template <class Prev, class F, class Errors = fails>
class flat_map_node : public chain_node<Prev, Errors> {
  using base = chain_node<Prev, Errors>;
  using input = typename Prev::output;
  using source = call_result<F, input>;

 public:
  using output = typename elements<source>::value_type;
  static constexpr bool gives_many = true;
  static_assert(message_requirements<output>::met);

  flat_map_node(Prev prev, F f, const stage_info& stage, Errors errors = {})
      : base(std::move(prev), stage, std::move(errors)), f_(std::move(f)) {}

  bool next(std::optional<output>& to) {
    for (;;) {
      if (!elements_ && !this->take(message_) && !is_at_end()) return false;
      try {
        const std::uint64_t began = this->begin();
        if (!elements_) start();
        const bool has_given = elements_->next(to);
        this->worked(began);
        if (has_given) {
          this->gave();
          return true;
        }
      } catch (...) {
        elements_.reset();
        if (!message_) throw;
        this->caught(*message_);
        message_.reset();
        return false;
      }
      elements_.reset();
      if (!message_) return false;
      message_.reset();
      this->done(this->is_sampled());
    }
  }
  void finish() noexcept {
    base::finish();
    has_to_finish_ = keeps_back<F>;
  }
  template <class Lose>
  void abandon(Lose&& lose) noexcept {
    if constexpr (owns_elements<source>) {
      for (std::optional<output> element; elements_ && elements_->next(element); element.reset()) {
        lose(*std::move(element), this->stage());
      }
    } else {
      if (elements_ && message_) lose(*std::move(message_), this->stage());
    }
    elements_.reset();
    base::abandon(lose);
  }

 private:
  /// No message is there, nor will be.
  bool is_at_end() noexcept { return has_to_finish_ && !this->pause(); }
  void start() {
    if (message_) {
      elements_.emplace(call(f_, *message_));
    } else if constexpr (keeps_back<F>) {
      has_to_finish_ = false;
      elements_.emplace(f_.finish());
    }
  }

  F f_;
  bool has_to_finish_ = false;
  uncopied<std::optional<input>> message_;  // the elements may refer to it; none: they are what finish() gave
  uncopied<std::optional<elements<source>>> elements_;
};

}  // namespace millrace::detail
