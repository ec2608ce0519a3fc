// SPDX-License-Identifier: BSL-1.0
//
// segmented_queue under every schedule: some order of the calls explains what they said, each message comes
// out once, and an allocation that fails changes nothing; with segments of one cell and of two, which are
// used again within the scenario, and tickets that pass the end of 64 bits.

#include <model/lockfree_calls.hpp>

#include <millrace/lockfree/segmented_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

template <std::size_t Cells>
using traits = basic_model_traits<std::uint64_t, 0, Cells>;
template <std::size_t Cells>  // segments of 2 wrap in their middle
using wrapping_traits = basic_model_traits<std::uint64_t, (std::uint64_t{1} << 60) - 3, Cells>;

/// The allocations of a schedule fail, but for the first few.
template <std::size_t Cells>
struct failing_traits : wrapping_traits<Cells> {
  static inline int succeed;
  static void* allocate(std::size_t bytes, std::size_t alignment) {
    if (arena::live() == succeed) throw std::bad_alloc();
    return wrapping_traits<Cells>::allocate(bytes, alignment);
  }
};

/// The pool gives a segment out again only when each of its cells is marked, in whichever use it is.
template <int Uses>
struct marked_before_taken : scenario<marked_before_taken<Uses>, 2> {
  using pool = detail::segment_pool<message, traits<2>>;

  box<pool> spare;
  pool::segment_type* used = nullptr;

  void before() {
    spare.make();
    spare->give_back(spare->take());
    for (int i = 1; i < Uses; ++i) {
      used = spare->take();
      used->mark(0, 1);
      used->mark(1, 1);
      spare->retire(used);
    }
    pool::segment_type* const same = spare->take();
    RL_ASSERT(used == nullptr || used == same);
    used = same;
  }

  void thread(unsigned index) {
    if (index == 1) {
      fill(*used);
      used->mark(0, 2);
    } else {
      spare->retire(used);
      pool::segment_type* const next = spare->take();
      fill(*next);
      spare->give_back(next);
    }
  }

  void fill(pool::segment_type& s) {
    for (int i : {1, 0}) {
      s.cells()[i].slot.construct(i);
      s.cells()[i].slot.destroy();
    }
  }

  void after() { spare.destroy(); }
};

template <class Traits, int Threads>
void run(const std::string& text, int turned, int filled, search depth, bool drains = true) {
  using scenario = lockfree_calls<segmented_queue<message, Traits>, Threads>;
  scenario::turned = turned;
  scenario::filled = filled;
  scenario::drains = drains;
  scenario::most_blocks = [](std::size_t longest) {  // each thread may have a segment in its hand
    constexpr std::size_t cells = Traits::template segment_cells<0>;
    return static_cast<int>((longest + cells - 1) / cells) + 3 + Threads;
  };
  scenario::what = {text.c_str(), lockfree_words};
  check<scenario>((text + ", " + std::to_string(filled) + " after " + std::to_string(turned)).c_str(), depth);
}

const search two_threads{3u, 0};
const search two_with_batches{2u, 0};
const search three_threads{2, 0};

constexpr struct {
  int turned, filled;
} states[] = {{0, 0}, {0, 1}, {1, 1}, {1, 2}, {0, 3}};

/// Every call beside every other; and every three of those that move one message.
template <class Traits>
void pairs_and_triples() {
  const std::string tries[] = {"try_push", "try_pop", "turn", "push_2", "pop_2", "push_3", "pop_3"};
  for (const auto state : states) {
    for (int i = 0; i < 7; ++i) {
      for (int j = i; j < 7; ++j) {
        run<Traits, 2>(tries[i] + " | " + tries[j], state.turned, state.filled,
                       j < 3 ? two_threads : two_with_batches);
        for (int k = j; k < 2; ++k) {
          run<Traits, 3>(tries[i] + " | " + tries[j] + " | " + tries[k], state.turned, state.filled,
                         three_threads);
        }
      }
    }
  }
}

/// Segments that are used three times, while some thread has read what they were, or reads it yet.
template <class Traits>
void late() {
  const search turns{2, 1000u};
  for (const int filled : {0, 1, 2}) {
    for (const std::string who : {"try_push", "try_pop", "push_2", "pop_2"}) {
      run<Traits, 2>("late " + who + " | turn turn turn turn", 0, filled, {2, 4000u});
      run<Traits, 2>(who + " | turn turn turn turn", 0, filled, turns);
    }
  }
  run<Traits, 2>("try_pop | pop_2 push push push", 0, 3, turns);
  run<Traits, 2>("size size | turn turn turn turn", 0, 1, turns);
  run<Traits, 2>("turn turn | turn turn", 0, 0, turns);
  run<Traits, 2>("turn | turn", 12, 0, turns);
  run<Traits, 2>("turn turn | turn turn", 1, 1, turns);
  run<Traits, 2>("push push push push | pop pop pop pop", 0, 0, turns);
  run<Traits, 2>("push_3 push_2 | pop_2 pop_3", 0, 1, turns);
}

/// Segments that are twice as large as the one before, of 1 cell, of 2, of 4, ...
void growing() {
  using doubling = traits<64>;
  run<doubling, 2>("push push | push push", 0, 0, {2, 1000u});
  run<doubling, 2>("push push push | pop pop pop", 0, 0, {2, 1000u});
  run<doubling, 2>("push_2 push_2 | try_pop pop_3", 0, 0, {2, 1000u});
  run<doubling, 2>("turn push turn push | turn pop turn pop", 0, 0, {1, 2000u});
  run<doubling, 3>("push push push | push_3 | pop pop_2 pop_3", 0, 0, {0, 5000u});
}

template <class Traits>
void many() {
  const search some{0, 20000u};
  run<Traits, 3>("turn turn | turn turn | turn turn", 0, 0, some);
  run<Traits, 3>("try_push turn | try_pop turn | size turn size turn", 1, 1, some);
  run<Traits, 3>("push push push | push_3 | pop pop_2 pop_3", 0, 0, some);
  run<Traits, 3>("push_3 | pop_2 pop_2 | pop_2 pop_2", 0, 2, some, false);
  run<Traits, 4>("push push | push push | pop pop | pop pop", 0, 0, some);
  run<Traits, 4>("push_2 push | turn turn | pop_3 | try_pop turn", 0, 1, some, false);
}

/// Memory ends in the middle of a push.
template <class Traits>
void failing() {
  for (const int succeed : {1, 2, 3}) {
    Traits::succeed = succeed;
    run<Traits, 2>("try_push try_push | try_pop try_pop", 0, 0, two_with_batches);
    run<Traits, 2>("push_3 | turn turn", 0, 0, two_with_batches);
    run<Traits, 3>("push_2 try_push | push_2 try_push | pop_2 pop_2", 0, 0, {0, 20000}, false);
  }
}

}  // namespace

int main() {
  std::printf("segments that are used again, of 1 cell and of 2\n");
  check<marked_before_taken<1>>("an unused segment is given back, then used", {3, 2000});
  check<marked_before_taken<2>>("a segment is used for the second time", {3, 2000});
  check<marked_before_taken<3>>("a segment is used for the third time", {3, 2000});
  late<wrapping_traits<1>>();
  late<wrapping_traits<2>>();
  std::printf("segments that grow\n");
  growing();
  std::printf("allocations that fail\n");
  failing<failing_traits<1>>();
  failing<failing_traits<2>>();
  std::printf("each call beside each other, segments of 1 cell\n");
  pairs_and_triples<wrapping_traits<1>>();
  std::printf("each call beside each other, segments of 2 cells\n");
  pairs_and_triples<wrapping_traits<2>>();
  std::printf("many calls\n");
  many<traits<1>>();
  many<traits<2>>();
  return result();
}
