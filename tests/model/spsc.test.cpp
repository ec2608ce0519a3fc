// SPDX-License-Identifier: BSL-1.0
//
// spsc_ring under every schedule: some order of the calls explains what they said, and each message comes
// out once; with lines of one slot and of several, and positions that wrap around within the scenario.

#include <model/lockfree_calls.hpp>

#include <millrace/lockfree/spsc_ring.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

/// Positions of 64 bits and of 8 that start in the last lap before they wrap around.
template <std::size_t Slots>
using wrapping_traits = basic_model_traits<std::uint64_t, ~std::uint64_t{0}, Slots>;
template <std::size_t Slots>
using tiny_positions = basic_model_traits<std::uint8_t, 255, Slots>;

template <class Traits, int Threads>
void run(const std::string& text, std::size_t capacity, int turned, int filled, search depth,
         bool drains = true) {
  using scenario = lockfree_calls<spsc_ring<message, Traits>, Threads>;
  scenario::capacity = capacity;
  scenario::turned = turned;
  scenario::filled = filled;
  scenario::drains = drains;
  scenario::what = {text.c_str(), lockfree_words};
  check<scenario>((text + ", " + std::to_string(filled) + " of " + std::to_string(capacity) + " after " +
                   std::to_string(turned))
                      .c_str(),
                  depth);
}

constexpr struct {
  std::size_t capacity;
  int turned, filled;
} states[] = {{1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}, {2, 0, 0}, {2, 0, 1}, {2, 0, 2}, {2, 1, 1},
              {2, 2, 1}, {2, 2, 2}, {3, 2, 0}, {3, 2, 1}, {3, 3, 1}, {3, 3, 2}, {3, 2, 3}, {5, 4, 2}};

/// Every push beside every pop: nothing in them loops, so all schedules can be searched.
template <class Traits>
void pairs() {
  const search two_each{3, 0};
  const search with_size{2, 0};
  for (const auto s : states) {
    const auto two = [&](const std::string& text, search depth) {
      run<Traits, 2>(text, s.capacity, s.turned, s.filled, depth);
    };
    for (const std::string push : {"try_push", "push_2", "push_3"}) {
      for (const std::string pop : {"try_pop", "pop_2", "pop_3"}) {
        two(push + " | " + pop, {without_bound, 0});
        two(push + " try_push | " + pop + " try_pop", two_each);
        two("try_push " + push + " | try_pop " + pop, two_each);
        run<Traits, 3>(push + " | " + pop + " | size", s.capacity, s.turned, s.filled, with_size);
      }
    }
  }
}

template <class Traits>
void scripts() {
  const search depth{2u, 20000};
  run<Traits, 2>("push push push | pop pop pop", 1, 0, 0, {3, 20000});
  run<Traits, 2>("push push push push | pop pop pop pop", 2, 0, 0, depth);
  run<Traits, 2>("push push push push | pop pop pop pop", 3, 1, 2, depth);
  run<Traits, 2>("push_3 push_3 push_2 | pop_3 pop_3 pop_2", 2, 1, 1, depth);
  run<Traits, 2>("push_3 push push_2 | pop_2 pop", 3, 2, 1, depth, false);
  run<Traits, 2>("push_3 push_3 push_3 | pop_3 pop_3 pop_3", 5, 3, 2, depth, false);
  run<Traits, 3>("push push push | pop pop | size size", 2, 1, 0, {2, 20000}, false);
}

}  // namespace

int main() {
  std::printf("lines of 1 slot\n");
  pairs<wrapping_traits<1>>();
  scripts<wrapping_traits<1>>();
  scripts<tiny_positions<1>>();
  std::printf("lines of 2 slots\n");
  pairs<wrapping_traits<2>>();
  scripts<wrapping_traits<2>>();
  scripts<tiny_positions<2>>();
  std::printf("lines of 3 slots\n");
  pairs<wrapping_traits<3>>();
  scripts<tiny_positions<3>>();
  return result();
}
