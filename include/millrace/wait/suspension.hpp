// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <optional>
#include <type_traits>

#include <millrace/detail/backoff.hpp>
#include <millrace/detail/macros.hpp>
#include <millrace/wait/clock.hpp>
#include <millrace/wait/decision.hpp>
#include <millrace/wait/op_status.hpp>
#include <millrace/wait/step.hpp>
#include <millrace/wait/stop_slot.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/timer.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/timers_of.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/waiter.hpp>

namespace millrace::detail {

/// Ends the sleep of a Suspension that derives from it when a stop is requested.
///
/// Threads     its owner adds and removes; a stop fires it on any thread.
template <class Suspension, class Traits, class Token>
class stop_rival {
  struct fire {
    Suspension* sleeping;
    void operator()() const noexcept { sleeping->end(op_status::cancelled); }
  };

 protected:
  void add_stop(const Token& token, stop_slot<Traits>*) noexcept {
    if (token.stop_possible()) callback_.emplace(token, fire{static_cast<Suspension*>(this)});
  }
  void remove_stop() noexcept { callback_.reset(); }

 private:
  std::optional<stop_callback_for_t<Token, fire>> callback_;
};

template <class Suspension, class Traits>
class stop_rival<Suspension, Traits, basic_stop_token<Traits>> : stop_node<Traits> {
 protected:
  void add_stop(const basic_stop_token<Traits>& token, stop_slot<Traits>* chain) noexcept {
    stop_node<Traits>* const node = prepare(chain);
    token_ = chain == nullptr ? token : basic_stop_token<Traits>();
    if (!token.stop_possible()) return;
    const bool is_added = chain != nullptr ? chain->enter(*node) : token.add(*node);
    if (!is_added) static_cast<Suspension*>(this)->end(op_status::cancelled);
  }
  void remove_stop() noexcept {
    if (token_.stop_possible()) {
      token_.remove(*this);
    } else if (this->entered != nullptr) {
      this->entered->leave();
    }
  }

  /// For the list to enter and to leave.
  stop_node<Traits>* prepare(stop_slot<Traits>* chain) noexcept {
    this->entered = chain;
    this->fire = [](stop_node<Traits>* self) noexcept {
      static_cast<Suspension*>(static_cast<stop_rival*>(self))->end(op_status::cancelled);
    };
    return this;
  }

 private:
  basic_stop_token<Traits> token_;  // where it is listed, instead of having entered a slot
};

/// The same, when a deadline has come.
template <class Suspension, class Traits, bool Timed>
class deadline_rival : timer_node {
 protected:
  void add_deadline(timer_service* timers, std::chrono::steady_clock::time_point until) noexcept {
    timers_ = timers;
    if (timers == nullptr) return;
    this->deadline = until;
    this->fire = [](timer_node* self) noexcept {
      static_cast<Suspension*>(static_cast<deadline_rival*>(self))->end(op_status::timeout);
    };
    timers->add(*this);
  }
  void remove_deadline() noexcept {
    if (timers_ != nullptr) timers_->remove(*this);
  }

 private:
  timer_service* timers_;
};

template <class Suspension, class Traits>
class deadline_rival<Suspension, Traits, false> {
 protected:
  void add_deadline(timer_service*, std::chrono::steady_clock::time_point) noexcept {}
  void remove_deadline() noexcept {}
};

/// What else may end a sleep.
template <class Token, class Traits>
struct rivals {
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr time_point never = time_point::max();

  Token token{};
  stop_slot<Traits>* slot = nullptr;  // of the token, where the operation's chain of coroutines has one
  time_point until = never;
  timer_service* timers = nullptr;

  bool exist() const noexcept { return token.stop_possible() || until != never; }
};

/// A step that sleeps at several places at once.
template <class Step>
constexpr bool has_branches = requires { Step::has_branches; };

/// A step that parks in a waiter_list, of which withdraw() gives up as soon as the waiter is not listed.
template <class Step>
constexpr bool is_unlisted_by_stop = requires { requires Step::is_unlisted_by_stop; };

/// One sleep of an operation, however it is run: its waiter, and what else may end it. Who derives from
/// it supplies run().
///
/// Lifetime    its owner's until sleep(), and again from run() on.
template <class Step, class Token, bool Timed>
class suspension : public waiter<typename Step::traits>,
                   decision<typename Step::traits>,
                   stop_rival<suspension<Step, Token, Timed>, typename Step::traits, Token>,
                   deadline_rival<suspension<Step, Token, Timed>, typename Step::traits, Timed> {
  using traits = typename Step::traits;
  template <class, class, class>
  friend class stop_rival;
  template <class, class, bool>
  friend class deadline_rival;

 public:
  using rivals_type = rivals<Token, traits>;
  using waiter<traits>::probe;

  explicit suspension(Step& step) noexcept : step_(step) {}

  /// True: it sleeps, and *this may be gone. False: it has completed, and does not run().
  bool sleep(const rivals_type& others) noexcept {
    if constexpr (continuing_step<Step>) rest_ = others;
    bool is_contested = has_branches<Step> || others.exist();
    if constexpr (is_unlisted_by_stop<Step> && std::is_same_v<Token, basic_stop_token<traits>>) {
      if (others.slot != nullptr && others.until == rivals_type::never) {
        this->stopper = this->prepare(others.slot);
        is_contested = false;
      }
    }
    if (is_contested) return sleep_contested(others);
    this->contest = nullptr;
    return step_.park(*this) || parks();
  }

  /// For run(): true where the step was not done with, sleeps again, and *this may be gone.
  bool sleeps_on() noexcept {
    if constexpr (continuing_step<Step>) {
      if (trampoline<traits>::active()) return tries_again();
      trampoline<traits> bottom;  // whom it wakes runs after it
      const bool sleeps = tries_again();
      bottom.run();
      return sleeps;
    } else {
      return waits_again();
    }
  }

  /// While it sleeps: ends that, unless something else already has.
  void end(op_status why) noexcept {
    if (this->contest != nullptr) {
      if (decision<traits>::take()) this->conclude(nullptr, why);
    } else if (step_.withdraw(*this)) {
      step_.refuse(why);
      dispatch(static_cast<waiter<traits>&>(*this));
    }
  }

  /// For its owner, which will not run(): takes it back, where nothing completes it at the same time.
  void abandon() noexcept {
    if (this->contest == nullptr ? step_.withdraw(*this) : decision<traits>::take()) {
      if (this->contest != nullptr) settle(*this);
      return;
    }
    relieve();
    if constexpr (requires { step_.lose(); }) {
      step_.lose();
    }
  }

  /// Adds the deadline that was asked for; to be called where it goes to sleep.
  template <class Modifiers>
  void limit(rivals_type& others, const Modifiers& asked) const noexcept {
    if (!asked.is_limited()) return;
    others.timers = &timers_of(this->home);
    others.until = asked.deadline(others.timers);
  }

 private:
  MILLRACE_NOINLINE bool sleep_contested(const rivals_type& others) noexcept {
    this->contest = this;
    do {
      this->begin(&settle);
      if (!step_.park(*this) && !parks()) return false;
      this->add_stop(others.token, others.slot);
      this->add_deadline(others.timers, others.until);
      if (!this->arm()) return true;
    } while (waits_again());  // it was served before it slept
    return false;
  }

  /// Where park() had it attempt again: true, and it is parked (*this may be gone, unless it is contested);
  /// false: it has completed.
  MILLRACE_NOINLINE bool parks() noexcept {
    for (backoff<traits> pause;; pause()) {
      if (this->stopper != nullptr && this->stopper->entered->stop_requested()) {
        step_.refuse(op_status::cancelled);
        return false;
      }
      if (step_.attempt()) return false;
      if (step_.park(*this)) return true;
    }
  }

  static waiter<traits>& settle(decision<traits>& of) noexcept {
    auto& self = static_cast<suspension&>(of);
    self.remove_stop();
    self.remove_deadline();
    self.step_.withdraw(self);
    if (of.how() != op_status::ok) self.step_.refuse(of.how());
    return self;
  }

  void relieve() noexcept {
    if constexpr (dutiful_step<Step>) step_.relieve(*this);
  }

  /// After a sleep: whether there is more to be done, and it has to wait for that.
  bool waits_again() noexcept {
    relieve();
    if constexpr (continuing_step<Step>) {
      return step_.goes_on() && !step_.attempt();
    } else {
      return false;
    }
  }
  bool tries_again() noexcept { return waits_again() && sleep(rest_); }

  Step& step_;
  struct nothing {};
  [[no_unique_address]] std::conditional_t<continuing_step<Step>, rivals_type, nothing> rest_{};
};

}  // namespace millrace::detail
