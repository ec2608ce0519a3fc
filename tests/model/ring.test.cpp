// SPDX-License-Identifier: BSL-1.0
//
// mpmc_ring under every schedule: some order of the calls explains what they said; each message comes
// out once, and none is left behind; with tickets that wrap around within the scenario and with ones
// that do not.

#include <model/lockfree_calls.hpp>

#include <millrace/lockfree/mpmc_ring.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

template <class Traits, int Threads>
void run(const std::string& text, std::size_t capacity, int filled, search depth, bool drains = true) {
  using scenario = lockfree_calls<mpmc_ring<message, Traits>, Threads>;
  scenario::capacity = capacity;
  scenario::filled = filled;
  scenario::drains = drains;
  scenario::what = {text.c_str(), lockfree_words};
  check<scenario>((text + ", " + std::to_string(filled) + " of " + std::to_string(capacity)).c_str(), depth);
}

constexpr struct {
  std::size_t capacity;
  int filled;
} states[] = {{1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}, {3, 1}};

const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
const std::string tries[] = {"try_push", "try_pop", "push_2", "pop_2", "push_3", "pop_3"};

/// Every call that tries, beside every other: nothing in them loops, so all schedules can be searched.
template <class Traits>
void pairs() {
  for (const auto state : states) {
    for (const std::string& a : tries) {
      for (const std::string& b : tries) {
        if (a > b) continue;
        const bool is_long = a == "pop_3" && b == "push_3";
        run<Traits, 2>(a + " | " + b, state.capacity, state.filled,
                       {is_long && !is_full ? 3u : without_bound, 0});
      }
    }
  }
}

/// Every three of them.
void triples() {
  for (const auto state : states) {
    for (const std::string& a : tries) {
      for (const std::string& b : tries) {
        for (const std::string& c : tries) {
          if (a > b || b > c) continue;
          const bool singles = a[0] == 't' && b[0] == 't' && c[0] == 't';
          run<tiny_traits, 3>(a + " | " + b + " | " + c, state.capacity, state.filled,
                              {is_full && singles && state.capacity == 1 ? without_bound : 2u, 0});
        }
      }
    }
  }
}

template <class Traits>
void scripts() {
  run<Traits, 2>("push push push | pop pop pop", 1, 0, {3, 20000});
  run<Traits, 2>("push push push push | pop pop pop pop", 2, 0, {2, 20000});
  run<Traits, 2>("push push push push | pop pop pop pop", 3, 0, {2, 20000});
  run<Traits, 2>("push_3 push_3 | pop_3 pop_3", 2, 0, {3, 20000});
  run<Traits, 2>("push_2 push_2 | pop_3 pop_3", 3, 2, {3, 20000});
  run<Traits, 3>("push push | push push | pop pop pop pop", 1, 0, {0, 50000});
  run<Traits, 3>("push push | push push | pop pop pop pop", 2, 0, {1, 20000});
  run<Traits, 3>("push push | push push | pop pop", 3, 0, {1, 20000}, false);
  run<Traits, 3>("push push push | pop pop | pop", 1, 0, {1, 20000});
  run<Traits, 3>("push push push push | pop pop | pop pop", 2, 0, {0, 50000});
  run<Traits, 3>("push_3 push_3 | push_2 try_push | pop_3 try_pop", 2, 0, {1, 20000}, false);
  run<Traits, 3>("push push | pop pop | size size", 2, 0, {2, 20000});
  run<Traits, 4>("push push | push push | pop pop | pop pop", 1, 0, {0, 50000});
  run<Traits, 4>("push push | push push | pop pop | pop pop", 2, 0, {0, 50000});
  run<Traits, 4>("push_2 | push_2 | pop_2 | try_pop pop_3", 3, 0, {0, 50000}, false);
}

template <class Traits>
void all(const char* tickets) {
  std::printf("%s\n", tickets);
  scripts<Traits>();
  pairs<Traits>();
}

}  // namespace

int main() {
  all<model_traits>("full-width tickets");
  all<tiny_traits>("8-bit tickets that wrap around");
  triples();
  return result();
}
