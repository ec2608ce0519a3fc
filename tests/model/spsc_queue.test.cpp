// SPDX-License-Identifier: BSL-1.0
//
// Operations of spsc_queue, asleep and awake, under every schedule, with one producer, one consumer, and
// others that close it: as waiting.test.cpp. A lock that is biased again after two operations, so that the
// bias comes and goes; with the fences of the language, and with those of Linux.

#include <model/waiting_calls.hpp>

#include <string>

#include <millrace/queue/spsc_queue.hpp>

namespace {

/// Positions of 8 bits that wrap around, in lines of `Slots`.
template <class Fence, std::size_t Slots>
struct traits : millrace::model::basic_model_traits<std::uint8_t, 250, Slots> {
  using fence = Fence;
};

}  // namespace

namespace millrace::model {
template <class T, class Traits>
inline constexpr bool is_for_one_pair<spsc_queue<T, Traits>> = true;
}

namespace {

using namespace millrace;
using namespace millrace::model;

template <class Traits, int Threads>
void run(const std::string& text, std::size_t capacity, int filled, search depth) {
  using scenario = calls<spsc_queue<message, Traits>, Traits, Threads>;
  scenario::capacity = capacity;
  scenario::filled = filled;
  scenario::what = {text.c_str(), words};
  check<scenario>((text + ", " + std::to_string(filled) + " of " + std::to_string(capacity)).c_str(), depth);
}

const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
const unsigned deep = is_full ? 2 : 1;  // preemptions, of three threads that do more than one thing each

constexpr struct {
  std::size_t capacity;
  int filled;
} states[] = {{1, 0}, {1, 1}, {2, 1}};

constexpr const char* pushes[] = {"push", "try_push", "push~"};
constexpr const char* pops[] = {"pop", "try_pop", "pop~", "close_and_drain"};
constexpr const char* others[] = {"close", "drained", "drained~"};

/// Every call beside every other.
template <class Traits>
void pairs(unsigned depth) {
  for (const auto state : states) {
    const auto two = [&](const std::string& a, const std::string& b) {
      run<Traits, 2>(a + " | " + b, state.capacity, state.filled, {depth, 0});
    };
    for (const char* a : pushes) {
      for (const char* b : pops) two(a, b);
      for (const char* b : others) two(a, b);
    }
    for (const char* a : others) {
      for (const char* b : pops) two(a, b);
      for (const char* b : others) two(a, b);
    }
  }
}

template <class Traits>
void triples() {
  for (const auto state : states) {
    for (const std::string a : pushes) {
      for (const std::string b : pops) {
        for (const std::string c : others) {
          run<Traits, 3>(a + " | " + b + " | " + c, state.capacity, state.filled, {is_full ? 2u : 1u, 2000});
        }
      }
    }
  }
}

template <class Traits>
void scripts() {
  const auto two = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<Traits, 2>(text, capacity, filled, depth);
  };
  const auto three = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<Traits, 3>(text, capacity, filled, depth);
  };
  two("push push push | pop pop pop", 1, 0, {2, 5000});
  two("push push push push | pop pop pop pop", 2, 0, {deep, 5000});
  two("push push push push | pop pop pop pop", 2, 1, {deep, 5000});
  two("try_push push try_push | try_pop pop try_pop", 1, 0, {2, 5000});
  two("push push | close_and_drain", 1, 1, {2, 5000});
  two("push push~ push | pop pop~ pop", 1, 0, {2, 5000});
  two("push push close push | pop pop pop", 1, 0, {2, 5000});
  three("push | pop | close", 1, 0, {2, 5000});
  three("push | pop | close", 1, 1, {2, 5000});
  three("push push | pop pop | close", 1, 0, {deep, 5000});
  three("push push | pop pop | close", 2, 1, {deep, 5000});
  three("push~ push | pop~ pop | close", 1, 1, {deep, 5000});
  three("try_push try_push | try_pop try_pop | close", 1, 0, {2, 5000});
  three("push push | try_pop close_and_drain | close", 1, 1, {deep, 5000});
  three("drained | pop pop | close", 2, 2, {2, 5000});
  three("drained | pop | close", 1, 1, {2, 5000});
  three("drained~ | pop | close", 1, 1, {2, 5000});
  three("push | pop pop | drained drained~", 1, 1, {deep, 5000});
  run<Traits, 4>("push push | pop pop | close | drained", 1, 1, {0, 10000});
  run<Traits, 4>("push~ push | pop~ pop | close | drained~", 1, 0, {0, 10000});
}

}  // namespace

int main() {
  std::printf("the fences of the language\n");
  scripts<traits<symmetric_fence, 1>>();
  pairs<traits<symmetric_fence, 2>>(3);
  triples<traits<symmetric_fence, 1>>();
  std::printf("a fence of all threads\n");
  scripts<traits<asymmetric_fence, 2>>();
  pairs<traits<asymmetric_fence, 1>>(is_full ? 3 : 2);
  triples<traits<asymmetric_fence, 2>>();
  return result();
}
