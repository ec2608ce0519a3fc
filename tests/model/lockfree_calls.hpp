// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scripts for the queues of lockfree/: each thread's calls, under every schedule, judged by model/history.

#include <string>

#include <model/history.hpp>

namespace millrace::model {

/// What a thread of a script calls: push and pop try until they succeed; turn is one try of each; those
/// with a number try so many at once; late lets the others end first, of which this thread learns nothing.
constexpr const char* lockfree_words[] = {"push",  "pop",    "turn",  "try_push", "try_pop", "push_2",
                                          "pop_2", "push_3", "pop_3", "size",     "late"};
enum class lockfree_word { push, pop, turn, try_push, try_pop, push_2, pop_2, push_3, pop_3, size, late };

/// A queue that `turned` messages went through and that holds `filled` when the threads begin.
template <class Queue, int Threads>
struct lockfree_calls : scenario<lockfree_calls<Queue, Threads>, Threads> {
  static constexpr bool is_bounded = requires(const Queue& q) { q.capacity(); };
  static constexpr int most = 16;  // messages that a queue without bound is given

  static inline std::size_t capacity = most;
  static inline int turned;
  static inline int filled;
  static inline bool drains;  // else the destructor finds what is left
  static inline int (*most_blocks)(std::size_t longest) = [](std::size_t) { return 1; };  // of memory
  static inline script<lockfree_word, Threads> what;

  box<Queue> queue;
  model::history log;
  int ended = 0;            // threads
  std::size_t begun = 0;    // pushes
  std::size_t popped = 0;   // messages
  std::size_t longest = 0;  // queue, at most

  void before() {
    if constexpr (is_bounded) {
      queue.make(capacity);
    } else {
      queue.make();
    }
    for (int i = 0; i < turned; ++i) {
      RL_ASSERT(queue->try_push(message(0)));
      RL_ASSERT(queue->try_pop());
    }
    for (int id = 0; id < filled; ++id) push(id, false);
  }

  void thread(unsigned index) {
    what.run(index, [&](lockfree_word call, int n) { make(call, filled + 3 * n); });
    ++ended;
  }

  void make(lockfree_word call, int id) {
    switch (call) {
      case lockfree_word::push: push(id, true); break;
      case lockfree_word::pop: pop(true); break;
      case lockfree_word::turn:
        push(id, false);
        pop(false, false);
        break;
      case lockfree_word::try_push: push(id, false); break;
      case lockfree_word::try_pop: pop(false); break;
      case lockfree_word::push_2: push_n<2>(id); break;
      case lockfree_word::pop_2: pop_n<2>(); break;
      case lockfree_word::push_3: push_n<3>(id); break;
      case lockfree_word::pop_3: pop_n<3>(); break;
      case lockfree_word::late:
        while (ended < Threads - 1) model::yield();
        break;
      case lockfree_word::size: RL_ASSERT(queue->size_approx() <= (is_bounded ? capacity : begun)); break;
    }
  }

  void count_pushes(std::size_t n) {
    begun += n;
    if (longest < begun - popped) longest = begun - popped;
  }

  /// Ends a call without another switch: what is local to it concerns nobody.
  struct unobserved {
    bool began = false;
    void begins() {
      began = true;
      rl::ctx().disable_preemption();
    }
    ~unobserved() {
      if (began) rl::ctx().enable_preemption();
    }
  };

  void push(int id, bool until_done) {
    unobserved end;
    message m(id);
    count_pushes(1);
    const int call = log.begin();
    bool ok = false;
    bool threw = false;
    try {
      while (!(ok = queue->try_push(std::move(m))) && until_done) {
        RL_ASSERT(m.id() == id);
        model::yield();
      }
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    log.end(call);
    end.begins();
    RL_ASSERT(m.id() == (ok ? -1 : id));  // untouched
    RL_ASSERT(is_bounded || ok != threw);
    if (!threw) log.tell(call, history::push, ok ? op_status::ok : op_status::full, id);
  }

  /// Who has pushed knows of that, but perhaps not yet of the pops before: then it may say empty, in the
  /// place of an older message, which the judge does not understand.
  bool pop(bool until_done, bool judges_empty = true) {
    unobserved end;
    std::optional<message> m;
    const int call = log.begin();
    while (!(m = queue->try_pop()) && until_done) model::yield();
    log.end(call);
    end.begins();
    popped += m.has_value();
    if (m || judges_empty) {
      log.tell(call, history::pop, m ? op_status::ok : op_status::empty, m ? m->id() : -1);
    }
    return m.has_value();
  }

  /// A batch is one call for each message, in their order, and one for the first that did not move.
  template <int N>
  void push_n(int id) {
    const int ids[] = {id, id + 1, id + 2};
    count_pushes(N);
    const int first = begin_batch<N>();
    int done = 0;
    bool threw = false;
    try {
      done = static_cast<int>(queue->try_push_n(ids, N));
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    for (int i = 0; i < N; ++i) log.end(first + i);
    for (int i = 0; i < done; ++i) log.tell(first + i, history::push, op_status::ok, ids[i]);
    if (is_bounded && done < N) log.tell(first + done, history::push, op_status::full);
    RL_ASSERT(is_bounded || threw == (done == 0));
  }

  struct sink {
    int* at;
    sink& operator*() noexcept { return *this; }
    sink& operator++() noexcept { return ++at, *this; }
    void operator=(message&& m) noexcept { *at = m.id(); }
  };

  template <int N>
  void pop_n() {
    int ids[N];
    const int first = begin_batch<N>();
    const int done = static_cast<int>(queue->try_pop_n(sink{ids}, N));
    for (int i = 0; i < N; ++i) log.end(first + i);
    popped += static_cast<std::size_t>(done);
    for (int i = 0; i < done; ++i) log.tell(first + i, history::pop, op_status::ok, ids[i]);
    if (done < N) log.tell(first + done, history::pop, op_status::empty);
  }

  template <int N>
  int begin_batch() {
    const int first = log.begin();
    for (int i = 1; i < N; ++i) log.begin(true);
    return first;
  }

  void after() {
    if (drains) {
      while (pop(false)) {
      }
      RL_ASSERT(queue->size_approx() == 0);
    }
    RL_ASSERT(message::alive == static_cast<int>(queue->size_approx()));
    RL_ASSERT(arena::live() <= most_blocks(longest));
    queue.destroy();
    RL_ASSERT(message::alive == 0);
    log.check(capacity);
  }
};

}  // namespace millrace::model
