// SPDX-License-Identifier: BSL-1.0
//
// Operations of bounded_queue, asleep and awake, under every schedule: some order of them explains what
// they said; who sleeps is woken, once; each message is delivered, once, or handed back; and whoever is
// woken may destroy the queue, its waiter, or both. A lost wake-up is a deadlock, which the checker
// reports.

#include <model/queue_ends.hpp>
#include <model/waiting_calls.hpp>

#include <string>

#include <millrace/queue/bounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

template <class Traits, int Threads>
void run(const std::string& text, std::size_t capacity, int filled, search depth) {
  using scenario = calls<bounded_queue<message, Traits>, Traits, Threads>;
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

/// Every call beside every other.
template <class Traits>
void pairs() {
  for (const auto state : states) {
    for (const std::string a : words) {
      for (const std::string b : words) {
        if (a <= b && b != "close_and_drain")
          run<Traits, 2>(a + " | " + b, state.capacity, state.filled, {3, 0});
      }
    }
  }
}

/// Every three calls.
void triples() {
  for (const auto state : states) {
    for (const std::string a : words) {
      for (const std::string b : words) {
        for (const std::string c : words) {
          if (a > b || b > c || a == "close_and_drain" || b == "close_and_drain" || c == "close_and_drain")
            continue;
          run<model_traits, 3>(a + " | " + b + " | " + c, state.capacity, state.filled, {2, 0});
        }
      }
    }
  }
}

void scripts() {
  const auto two = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<tiny_traits, 2>(text, capacity, filled, depth);
  };
  const auto three = [](const char* text, std::size_t capacity, int filled, search depth) {
    run<tiny_traits, 3>(text, capacity, filled, depth);
  };
  const auto four = [](const char* text, std::size_t capacity, int filled) {
    run<tiny_traits, 4>(text, capacity, filled, {0, 50000});
  };
  two("push push push | pop pop pop", 1, 0, {2, 20000});
  two("push push push push | pop pop pop pop", 2, 0, {2, 20000});
  two("push | close_and_drain", 1, 0, {3, 20000});
  two("push push | close_and_drain", 1, 1, {2, 20000});
  three("push | pop | close", 1, 0, {2, 20000});
  three("push | pop | close", 1, 1, {2, 20000});
  three("push | pop | drained", 1, 1, {2, 20000});
  three("push | try_pop | try_pop", 2, 2, {2, 20000});
  three("pop | try_push | try_push", 2, 0, {2, 20000});
  three("pop | pop | close", 1, 0, {2, 20000});
  three("push | push | close", 1, 1, {2, 20000});
  three("pop | close try_push | close try_push", 1, 0, {2, 20000});
  three("push | push | close_and_drain", 1, 0, {2, 20000});
  three("push push push | pop | pop pop", 1, 0, {deep, 20000});
  three("push push | push push | pop pop pop pop", 1, 0, {0, 50000});
  three("push push | push | pop pop pop", 3, 0, {deep, 20000});
  three("drained | pop | close", 2, 0, {2, 20000});
  three("drained | pop | close", 2, 1, {2, 20000});
  three("drained | pop pop | close", 2, 2, {2, 20000});
  three("drained | pop | close", 2, 2, {2, 20000});
  three("drained~ | pop | close", 1, 1, {2, 20000});
  three("drained~ | drained | close", 1, 0, {2, 20000});
  three("drained | push~ | pop close pop", 1, 1, {2, 20000});
  three("pop~ | pop | push push", 1, 0, {deep, 20000});
  three("pop~ | pop | close", 1, 0, {2, 20000});
  three("pop~ | push push push | pop", 1, 0, {2, 20000});
  three("pop~ | pop~ | push", 1, 0, {2, 20000});
  three("push~ | push | pop pop", 1, 1, {deep, 20000});
  three("push~ | push | close", 1, 1, {2, 20000});
  three("push~ | push~ | pop", 1, 1, {2, 20000});
  three("push~ | push | pop close", 1, 1, {deep, 20000});
  four("push push | push push | pop pop | pop pop", 1, 0);
  four("push | push | pop | close", 1, 1);
  four("push | drained | pop pop | close", 1, 1);
  four("push~ | drained~ | pop~ | close", 1, 1);
}

}  // namespace

int main() {
  std::printf("the ends of a queue\n");
  using queue_type = bounded_queue<message, model_traits>;
  check<served_in_order<queue_type, false>>("poppers are served in order", {2, 20000});
  check<served_in_order<queue_type, true>>("pushers are served in order", {deep, 20000});
  check_ends<queue_type>();
  std::printf("scripts, 8-bit tickets that wrap around\n");
  scripts();
  std::printf("pairs, full-width tickets\n");
  pairs<model_traits>();
  std::printf("pairs, 8-bit tickets that wrap around\n");
  pairs<tiny_traits>();
  if (is_full) {
    std::printf("triples\n");
    triples();
  }
  return result();
}
