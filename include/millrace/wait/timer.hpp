// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <millrace/detail/atomic.hpp>
#include <millrace/detail/backoff.hpp>
#include <millrace/detail/spin_lock.hpp>
#include <millrace/wait/clock.hpp>

namespace millrace {

/// Something to be done at a point in time: fire(node) is called once the deadline has passed.
/// Intrusive: whoever adds it owns it, and keeps it alive until it has been removed or fire() has begun;
/// fire() may destroy it, or add it again.
struct timer_node {
  using clock = std::chrono::steady_clock;

  clock::time_point deadline;  ///< set before it is added; a time_point::max() never passes
  void (*fire)(timer_node*) noexcept = nullptr;

  // The queue's, while it is pending.
  timer_node* child;     // the first of those below it
  timer_node* next;      // its neighbour to the right
  timer_node* previous;  // its neighbour to the left; of a first child, the parent
  std::uint8_t rank;     // how often trees of equal rank became this one
  bool is_pending = false;

  timer_node() noexcept {}  // leaves the rest unset
  timer_node(const timer_node&) = delete;
  timer_node& operator=(const timer_node&) = delete;
};

/// Timers in the order of their deadlines, for somebody who sleeps until the earliest of them and then
/// calls expire().
///
/// Threads     any thread may call anything.
/// Progress    adding and removing take a spin lock for a few instructions, but see Complexity. A
///             removal waits, yielding, while another thread is inside the fire() of what it removes.
/// Ordering    each expire() fires in the order of the deadlines; of equal ones, in any. What precedes
///             add() happens-before fire(), and fire() before the return of a remove() that waits for it.
/// Complexity  add is constant; remove, and each firing, logarithmic; both amortized. A timer that is
///             removed before others that are due sooner is a leaf: that is constant. Allocates nothing.
/// Lifetime    outlives its pending timers, and the calls of expire().
/// Source      the pairing heap: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap: a new form of
///             self-adjusting heap", Algorithmica 1 (1986); with two changes. What is removed from within
///             is replaced by the tree made of its children. And add() joins the root's first children
///             as a binomial heap would, by rank: else a million timers would hang on the root side by
///             side, and whoever removes it would pair them all, with the lock held.
template <class Traits>
class basic_timer_queue {
  // A node: its owner --add--> pending --remove--> its owner
  //                            pending --expire--> fired, in the runner of that expire()
  //         fired --fire() has returned, or it removes itself inside it--> its owner
  // Unlinked, the node belongs to its fire(): nothing here touches it again, and a runner's node is only
  // compared. While fire() runs, the node may be pending again, and even be fired by another thread.
  //
  // The tree: nobody's deadline is before its parent's. The children of the root whose rank does not
  // grow from left to right are those that a removal has left there.
  //
  // lock_ guards all but earliest_, which is written under it, and read without it as a hint.

 public:
  using clock = timer_node::clock;
  using time_point = clock::time_point;

  basic_timer_queue() noexcept = default;
  basic_timer_queue(const basic_timer_queue&) = delete;
  basic_timer_queue& operator=(const basic_timer_queue&) = delete;

  /// True: it is the earliest now, so whoever sleeps until the earliest must be told.
  /// Precondition: it is not pending.
  bool add(timer_node& node) noexcept {
    return add(node, []() noexcept { return true; });
  }

  /// Also calls then() if it is the earliest, under the lock, and returns what that returns (else the
  /// same type's default): until then, nobody can fire it.
  template <class Then>
  auto add(timer_node& node, Then then) noexcept -> decltype(then()) {
    const detail::lock_guard guard(lock_);
    probe_.write();
    node.child = node.next = node.previous = nullptr;
    node.rank = 0;
    node.is_pending = true;
    if (root_ != nullptr && !(node.deadline < root_->deadline)) {
      timer_node* tree = &node;
      while (root_->child != nullptr && root_->child->rank <= tree->rank) {
        timer_node& first = *root_->child;
        root_->child = first.next;
        tree = &meld(first, *tree);
      }
      adopt(*root_, *tree);
      return {};
    }
    if (root_ != nullptr) adopt(node, *root_);
    set_root(&node);
    return then();
  }

  /// Takes the timer out, where it is pending. When this returns, its fire() is not running and never
  /// will: if another thread is inside it, this waits. From inside that very fire() it returns at once,
  /// and the node may be destroyed. Fired timers may be removed too.
  void remove(timer_node& node) noexcept {
    detail::backoff<Traits> pause;
    while (!is_removed(node)) pause();
  }

  /// The deadline of the timer that is due first, or time_point::max(): a snapshot.
  time_point earliest() const noexcept {
    return at(earliest_.load(std::memory_order_relaxed));  // relaxed: a hint
  }

  /// As earliest(), but a timer whose add happens-before is certain to be seen: it takes the lock.
  time_point earliest_now() noexcept {
    return earliest_now([](time_point) noexcept {});
  }

  /// Also calls then() with it, under the lock.
  template <class Then>
  time_point earliest_now(Then then) noexcept {
    const detail::lock_guard guard(lock_);
    probe_.read();
    const time_point deadline = earliest();
    then(deadline);
    return deadline;
  }

  /// Fires what is due at `now`, one after the other, outside the lock; says how many.
  std::size_t expire(time_point now) noexcept {
    if (now < earliest()) return 0;
    runner self{&Traits::this_thread()};
    std::size_t fired = 0;
    for (; timer_node* const node = next_due(now, self, fired == 0); ++fired) {
      node->fire(node);  // the node may be gone from here on
    }
    return fired;
  }

 private:
  /// One expire() in progress.
  struct runner {
    const void* thread;
    timer_node* node = nullptr;  // whose fire() it has called
    runner* next = nullptr;
    runner* previous = nullptr;
  };

  static time_point at(clock::rep ticks) noexcept { return time_point(clock::duration(ticks)); }

  timer_node* next_due(time_point now, runner& self, bool is_first) noexcept {
    const detail::lock_guard guard(lock_);
    probe_.write();
    timer_node* const node = root_;
    if (node == nullptr || now < node->deadline || node->deadline == time_point::max()) {
      if (!is_first) forget(self);
      return nullptr;
    }
    set_root(heir_of(*node));
    node->is_pending = false;
    self.node = node;
    if (is_first) remember(self);
    return node;
  }

  /// False: another thread is inside its fire().
  bool is_removed(timer_node& node) noexcept {
    const detail::lock_guard guard(lock_);
    probe_.write();
    if (node.is_pending) {
      unlink(node);
      node.is_pending = false;
    }
    for (const runner* one = runners_; one != nullptr; one = one->next) {
      if (one->node == &node && one->thread != &Traits::this_thread()) return false;
    }
    return true;
  }

  void remember(runner& self) noexcept {
    self.next = runners_;
    if (runners_ != nullptr) runners_->previous = &self;
    runners_ = &self;
  }
  void forget(runner& self) noexcept {
    (self.previous != nullptr ? self.previous->next : runners_) = self.next;
    if (self.next != nullptr) self.next->previous = self.previous;
  }

  void set_root(timer_node* node) noexcept {
    root_ = node;
    const time_point deadline = node != nullptr ? node->deadline : time_point::max();
    earliest_.store(deadline.time_since_epoch().count(),
                    std::memory_order_relaxed);  // relaxed: a hint for who reads without the lock
  }

  void unlink(timer_node& node) noexcept {
    timer_node* const heir = heir_of(node);
    if (&node == root_) {
      set_root(heir);
      return;
    }
    timer_node* const right = heir != nullptr ? heir : node.next;
    (node.previous->child == &node ? node.previous->child : node.previous->next) = right;
    if (right != nullptr) right->previous = node.previous;
    if (heir != nullptr) {
      heir->next = node.next;
      if (node.next != nullptr) node.next->previous = heir;
    }
  }

  /// The tree made of the node's children, by pairs from left to right, then one by one from right to
  /// left; null where there are none. Who has called it sets its neighbours; a root has none.
  static timer_node* heir_of(timer_node& node) noexcept {
    timer_node* pairs = nullptr;
    for (timer_node* left = node.child; left != nullptr;) {
      timer_node* const right = left->next;
      timer_node* const rest = right != nullptr ? right->next : nullptr;
      timer_node* const pair = right != nullptr ? &meld(*left, *right) : left;
      pair->next = pairs;
      pairs = pair;
      left = rest;
    }
    timer_node* heir = nullptr;
    while (pairs != nullptr) {
      timer_node& pair = *pairs;
      pairs = pair.next;
      heir = heir != nullptr ? &meld(pair, *heir) : &pair;
    }
    return heir;
  }

  static timer_node& meld(timer_node& a, timer_node& b) noexcept {
    const bool b_first = b.deadline < a.deadline;
    timer_node& parent = b_first ? b : a;
    adopt(parent, b_first ? a : b);
    return parent;
  }

  static void adopt(timer_node& parent, timer_node& node) noexcept {
    if (node.rank == parent.rank && node.rank < most_rank) {
      ++parent.rank;
    } else if (node.rank > parent.rank) {
      parent.rank = node.rank;
    }
    node.next = parent.child;
    node.previous = &parent;
    if (parent.child != nullptr) parent.child->previous = &node;
    parent.child = &node;
  }

  static constexpr std::uint8_t most_rank = 63;

  detail::spin_lock<Traits> lock_;
  timer_node* root_ = nullptr;
  runner* runners_ = nullptr;
  typename Traits::template atomic<clock::rep> earliest_{time_point::max().time_since_epoch().count()};
  [[no_unique_address]] typename Traits::probe probe_;
};

using timer_queue = basic_timer_queue<default_traits>;

}  // namespace millrace
