// SPDX-License-Identifier: BSL-1.0
//
// mpmc_ring under every schedule: each message comes out once, first in, first out, and none is left
// behind, with tickets that wrap around within the scenario and with ones that do not.

#include <support/model.hpp>

#include <millrace/lockfree/mpmc_ring.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

struct sizes {
  std::size_t capacity;
  int each;  // messages of each producer
  int left;  // of them, left for the destructor
};

/// Producers try until their messages are in; consumers try until together they have all but `left`.
template <class Traits, int Producers, int Consumers>
struct producers_and_consumers
    : scenario<producers_and_consumers<Traits, Producers, Consumers>, Producers + Consumers> {
  static inline sizes size;

  box<mpmc_ring<message, Traits>> ring;
  journal log;
  int to_take = Producers * size.each - size.left;

  void before() { ring.make(size.capacity); }

  void thread(unsigned index) {
    if (index < Producers) {
      for (int i = 0; i < size.each; ++i) push(static_cast<int>(index) * size.each + i);
    } else {
      while (to_take > 0) {
        --to_take;
        pop();
      }
    }
  }

  void push(int id) {
    message m(id);
    log.began_push(id);
    while (!ring->try_push(std::move(m))) {
      RL_ASSERT(m.id() == id);  // untouched
      Traits::yield();
    }
    log.pushed(id);
  }

  void pop() {
    const int began = log.now();
    std::optional<message> m;
    while (!(m = ring->try_pop())) Traits::yield();
    log.popped(m->id(), began);
  }

  void after() {
    RL_ASSERT(ring->size_approx() == static_cast<std::size_t>(size.left));
    RL_ASSERT(message::alive == size.left);
    if (size.left == 0) {
      log.check();
      RL_ASSERT(!ring->try_pop());
    }
    ring.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

/// Two pushes and two pops that try once: what fails leaves the message where it was.
template <class Traits>
struct single_tries : scenario<single_tries<Traits>, 3> {
  static inline std::size_t capacity;

  box<mpmc_ring<message, Traits>> ring;
  journal log;

  void before() { ring.make(capacity); }

  void thread(unsigned index) {
    if (index < 2) {
      const int id = static_cast<int>(index);
      message m(id);
      log.began_push(id);
      if (ring->try_push(std::move(m))) {
        log.pushed(id);
      } else {
        RL_ASSERT(m.id() == id);
        RL_ASSERT(capacity == 1);
        log.returned(id);
      }
    } else {
      take();
      take();
    }
  }

  bool take() {
    const int began = log.now();
    message m(-1);
    if (!ring->try_pop(m)) return false;
    log.popped(m.id(), began);
    return true;
  }

  void after() {
    while (take()) {
    }
    log.check();
    ring.destroy();
    RL_ASSERT(message::alive == 0);
  }
};

template <class Traits, int Producers, int Consumers>
void stream(const char* name, sizes size, search depth) {
  producers_and_consumers<Traits, Producers, Consumers>::size = size;
  check<producers_and_consumers<Traits, Producers, Consumers>>(name, depth);
}

template <class Traits>
void all(const char* tickets) {
  std::printf("%s\n", tickets);
  stream<Traits, 1, 1>("one to one, capacity 1", {1, 3, 0}, {3, 50000});
  stream<Traits, 1, 1>("one to one, capacity 2", {2, 4, 0}, {2, 50000});
  stream<Traits, 1, 1>("one to one, capacity 3", {3, 4, 0}, {2, 50000});
  stream<Traits, 2, 1>("two to one, capacity 1", {1, 2, 0}, {0, 100000});
  stream<Traits, 2, 1>("two to one, capacity 2", {2, 2, 0}, {1, 100000});
  stream<Traits, 2, 1>("two to one, capacity 3, two are left", {3, 2, 2}, {1, 50000});
  stream<Traits, 1, 2>("one to two, capacity 1", {1, 3, 0}, {1, 100000});
  stream<Traits, 1, 2>("one to two, capacity 2", {2, 4, 0}, {0, 100000});
  stream<Traits, 2, 2>("two to two, capacity 1", {1, 2, 0}, {0, 100000});
  stream<Traits, 2, 2>("two to two, capacity 2", {2, 2, 0}, {0, 100000});
  stream<Traits, 2, 2>("two to two, capacity 3", {3, 2, 0}, {0, 100000});
  for (const std::size_t capacity : {1, 2}) {
    single_tries<Traits>::capacity = capacity;
    check<single_tries<Traits>>("a failed try leaves the message alone", {2, 50000});
  }
}

}  // namespace

int main() {
  all<model_traits>("full-width tickets");
  all<tiny_traits>("8-bit tickets that wrap around");
  return result();
}
