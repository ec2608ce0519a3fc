// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/executor.hpp>
#include <millrace/wait/operation.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/trampoline.hpp>
#include <millrace/wait/work_item.hpp>

namespace millrace {

namespace detail {

/// Posts functions to Asio, one at a time: the next one once that before it runs.
///
/// Lifetime    a function that begins with enter() may destroy this, and Asio's context: whoever posted it has left
///             both. Asio itself still signals its context when the function may be running on another thread.
class asio_poster {
  // The function's memory is one block, here: Asio gives it back before it runs or destroys the function. So is_used_,
  // too, passes from thread to thread with the function.

 public:
  template <class T>
  struct allocator {
    using value_type = T;

    explicit allocator(asio_poster& of) noexcept : memory(&of) {}
    template <class U>
    allocator(const allocator<U>& other) noexcept : memory(other.memory) {}

    T* allocate(std::size_t n) {
      if (n * sizeof(T) > sizeof(memory->bytes_) || memory->is_used_) return std::allocator<T>().allocate(n);
      memory->is_used_ = true;
      return reinterpret_cast<T*>(memory->bytes_);
    }
    void deallocate(T* p, std::size_t n) noexcept {
      if (static_cast<void*>(p) != memory->bytes_) return std::allocator<T>().deallocate(p, n);
      memory->is_used_ = false;
    }
    friend bool operator==(const allocator& a, const allocator& b) noexcept { return a.memory == b.memory; }

    asio_poster* memory;
  };

  /// Where there is no memory for it, and it needs some, the program ends.
  template <class Executor, class Function>
  void post(const Executor& executor, Function&& function) noexcept {
    const lock_guard guard(posting_);
    asio::post(executor, std::forward<Function>(function));
  }
  void enter() noexcept { const lock_guard guard(posting_); }

 private:
  spin_lock<default_traits> posting_;  // held by who posts; only the function itself waits for it
  alignas(std::max_align_t) unsigned char bytes_[96];
  bool is_used_ = false;
};

}  // namespace detail

/// An executor of (standalone) Asio as one of millrace: `asio_executor loop(io_context)`, then
/// `scope.spawn(loop, task)` or `q.pop().on(loop)`.
///
/// Threads     any thread posts; items run on the threads that run the Asio executor, one after the other only
///             where that is so there (one thread, or a strand).
/// Progress    post(): a spin lock for a few instructions, and asio::post where nothing was posted before.
/// Ordering    items start in the order in which they were posted; what precedes post() happens-before run().
/// Errors      where Asio's executor allocates, and there is no memory, the program ends: posting cannot fail.
/// Complexity  one asio::post an item. It allocates nothing where Asio's executor uses the memory that it is
///             given: io_context's and thread_pool's do, any_io_executor allocates.
/// Lifetime    outlives all that may resume on it; the execution context outlives it. Coroutines that wait do not
///             count as work for io_context::run(): hold an executor_work_guard where that must not return.
template <class Executor = asio::any_io_executor>
class asio_executor {
  // At most one function is posted to Asio at a time: it runs one item, and first posts the next one if there are
  // more, so that other threads may take those. All that changes is guarded by lock_, but for poster_.

 public:
  explicit asio_executor(Executor executor) noexcept : executor_(std::move(executor)) {}
  template <class Context>
    requires std::is_convertible_v<Context&, asio::execution_context&>
  explicit asio_executor(Context& context) : executor_(context.get_executor()) {}
  asio_executor(const asio_executor&) = delete;
  asio_executor& operator=(const asio_executor&) = delete;

  void post(work_item& item) noexcept {
    {
      const detail::lock_guard guard(lock_);
      items_.push_back(item);
      if (std::exchange(is_posted_, true)) return;  // *this may be gone from here on
    }
    poster_.post(executor_, turn{this});
  }

 private:
  struct turn {
    using allocator_type = detail::asio_poster::allocator<void>;
    allocator_type get_allocator() const noexcept { return allocator_type(owner->poster_); }
    void operator()() const noexcept { owner->take_turn(); }

    asio_executor* owner;
  };

  void take_turn() noexcept {
    poster_.enter();
    work_item* item = nullptr;
    bool are_more = false;
    {
      const detail::lock_guard guard(lock_);
      item = &items_.pop_front();
      are_more = is_posted_ = !items_.empty();
    }
    if (are_more) poster_.post(executor_, turn{this});
    detail::trampoline<default_traits>(executor_ref(*this)).run(*item);  // *this may be gone from here on
  }

  Executor executor_;
  detail::spin_lock<default_traits> lock_;
  work_list items_;
  bool is_posted_ = false;
  detail::asio_poster poster_;
};

template <class Context>
  requires std::is_convertible_v<Context&, asio::execution_context&>
asio_executor(Context&) -> asio_executor<typename Context::executor_type>;

namespace detail {

/// An operation that an Asio completion handler waits for. Frees itself before it calls the handler.
///
/// Threads     run() on the thread that initiates; the rest on the handler's executor, which is also where Asio
///             wants cancellations to be requested.
template <class Operation, class Handler>
class asio_wait {
  using result_type = typename Operation::result_type;
  using executor_type = asio::associated_executor_t<Handler>;
  using slot_type = asio::associated_cancellation_slot_t<Handler>;
  using own_allocator =
      typename std::allocator_traits<asio::associated_allocator_t<Handler>>::template rebind_alloc<asio_wait>;

  // finished_ points to a local of whoever runs the operation now: the thread that initiates it, then each function
  // that was posted. What completes the operation says so there, so nobody asks an object that may be gone.

 public:
  static void run(Operation&& op, Handler&& handler) {
    own_allocator allocator(asio::get_associated_allocator(handler));
    asio_wait* const self = std::allocator_traits<own_allocator>::allocate(allocator, 1);
    ::new (static_cast<void*>(self)) asio_wait(std::move(handler));
    bool is_finished = false;
    self->finished_ = &is_finished;
    try {
      self->start(std::move(op));  // *self may be gone, unless it has finished
    } catch (...) {
      self->destroy(allocator);
      throw;
    }
    if (is_finished) self->post(nullptr);
  }

  explicit asio_wait(Handler&& handler)
      : handler_(std::move(handler)), work_(asio::get_associated_executor(handler_)) {}

  /// The executor on which the operation goes on: the handler's.
  void post(work_item& item) noexcept { post(&item); }

 private:
  /// What is posted: runs the item, if there is one, and calls the handler if that has ended the operation.
  class turn {
   public:
    using allocator_type = asio_poster::allocator<void>;

    turn(asio_wait* self, work_item* item) noexcept : self_(self), item_(item) {}
    turn(turn&& other) noexcept : self_(std::exchange(other.self_, nullptr)), item_(other.item_) {}
    turn& operator=(turn&&) = delete;
    /// Where it never ran, for its context is destroyed: the handler and the result go, as others of Asio do.
    ~turn() {
      if (self_ != nullptr && ends()) self_->destroy(self_->own());
    }

    allocator_type get_allocator() const noexcept { return allocator_type(self_->poster_); }
    void operator()() {
      if (asio_wait* const self = self_; ends()) {
        self_ = nullptr;
        self->complete();
      }
    }

   private:
    bool ends() noexcept {
      self_->poster_.enter();
      if (item_ == nullptr) return true;
      bool is_finished = false;
      self_->finished_ = &is_finished;
      item_->run(std::exchange(item_, nullptr));  // *self_ may be gone, unless it has finished
      if (!is_finished) self_ = nullptr;
      return is_finished;
    }

    asio_wait* self_;
    work_item* item_;
  };

  void post(work_item* item) noexcept { poster_.post(work_.get_executor(), turn(this, item)); }

  void start(Operation&& op) {
    const auto finish = [this](result_type&& result) noexcept {
      result_.emplace(std::move(result));
      *finished_ = true;
    };
    slot_type slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      slot.assign([this](asio::cancellation_type type) {
        if ((type & asio::cancellation_type::all) != asio::cancellation_type::none) stop_.request_stop();
      });
      std::move(op).on(*this).with(stop_.token()).start(finish);
    } else {
      std::move(op).on(*this).start(finish);
    }
  }

  void complete() {
    slot_type slot = asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) slot.clear();
    const own_allocator allocator = own();
    Handler handler(std::move(handler_));
    result_type result(std::move(*result_));
    const auto work = std::move(work_);  // until the handler has returned
    destroy(allocator);
    std::move(handler)(std::move(result));
  }

  own_allocator own() const noexcept { return own_allocator(asio::get_associated_allocator(handler_)); }

  void destroy(own_allocator allocator) noexcept {
    this->~asio_wait();
    std::allocator_traits<own_allocator>::deallocate(allocator, this, 1);
  }

  Handler handler_;
  asio::executor_work_guard<executor_type> work_;
  stop_source stop_;
  std::optional<result_type> result_;
  bool* finished_ = nullptr;
  asio_poster poster_;
};

struct initiate_asio_wait {
  template <class Handler, class Operation>
  void operator()(Handler&& handler, Operation&& op) const {
    using wait = asio_wait<std::remove_cvref_t<Operation>, std::remove_cvref_t<Handler>>;
    wait::run(std::move(op), std::forward<Handler>(handler));
  }
};

}  // namespace detail

/// Runs an operation as an asynchronous operation of (standalone) Asio, with any completion token. Its signature is
/// void(result), as co_await in a task would give it: `auto m = co_await async_run(q.pop(), asio::use_awaitable)`.
/// How it ended is in the result, so no message is lost to an error code.
///
/// Threads     any. The handler runs on its associated executor, as if by asio::post, never inside this call; without
///             one, on Asio's system_executor.
/// Errors      none of its own: a token's per-operation cancellation, of any type, ends it `cancelled` while it
///             waits (in place of a token that .with() gave it), and a push's message is in its result. What it throws
///             here, there being no memory, is std::bad_alloc, with nothing done.
/// Complexity  one allocation by the handler's allocator, another where it must wait; asio::post as in asio_executor.
/// Lifetime    the queue outlives the operation, and so does the execution context, for which it counts as work.
/// Use instead in a millrace::task, co_await itself: it allocates nothing.
template <class Operation, class CompletionToken>
auto async_run(Operation op, CompletionToken&& token) {
  static_assert(noexcept(std::declval<Operation>().wait()),
                "millrace: async_run(op): what op throws has nowhere to go: co_await it in a task, and let that tell");
  return asio::async_initiate<CompletionToken, void(typename Operation::result_type)>(
      detail::initiate_asio_wait{}, token, std::move(op));
}

}  // namespace millrace
