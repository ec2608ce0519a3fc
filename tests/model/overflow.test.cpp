// SPDX-License-Identifier: BSL-1.0
//
// A queue that displaces its oldest message where it is full, under every schedule: each message is delivered,
// displaced, left, or back with its owner, once.

#include <model/history.hpp>

#include <string>

#include <millrace/queue/bounded_queue.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

constexpr const char* words[] = {"push", "pop", "close"};
enum class word { push, pop, close };

template <class Traits, int Threads>
struct displacing : scenario<displacing<Traits, Threads>, Threads> {
  static inline std::size_t capacity;
  static inline script<word, Threads> what;

  box<bounded_queue<message, Traits>> queue;
  int in = 0;
  int out = 0;

  void before() {
    queue_options<message> options;
    options.overflow = overflow_policy::displace_oldest;
    options.user = this;
    options.on_undelivered = [](void* self, message&& m) noexcept {
      message taken(std::move(m));
      ++static_cast<displacing*>(self)->out;
    };
    queue.make(capacity, options);
    while (in < static_cast<int>(capacity)) push(100 + in);
  }

  void push(int id) {
    message m(id);
    const op_status status = queue->try_push(std::move(m));
    RL_ASSERT(status == op_status::ok || (status == op_status::closed && m.id() == id));
    in += status == op_status::ok;
  }
  bool pop() {
    const pop_result<message> m = queue->try_pop();
    out += m.status() == op_status::ok;
    return m.status() == op_status::ok;
  }

  void thread(unsigned index) {
    what.run(index, [&](word call, int id) {
      switch (call) {
        case word::push:
          push(id);
          break;
        case word::pop:
          pop();
          break;
        case word::close:
          queue->close();
          break;
      }
    });
  }
  void after() {
    RL_ASSERT(queue->size_approx() <= capacity);
    while (pop()) {
    }
    RL_ASSERT(queue->size_approx() == 0);
    queue.destroy();
    RL_ASSERT(in == out);
    RL_ASSERT(message::alive == 0);
  }
};

template <class Traits, int Threads>
void run(const char* text, std::size_t capacity, search depth) {
  using scenario = displacing<Traits, Threads>;
  scenario::capacity = capacity;
  scenario::what = {text, words};
  check<scenario>((std::string(text) + ", capacity " + std::to_string(capacity)).c_str(), depth);
}

template <class Traits>
void all() {
  for (const std::size_t capacity : {1u, 2u}) {
    run<Traits, 2>("push push | push push", capacity, {2, 5000});
    run<Traits, 2>("push push | pop pop", capacity, {3, 5000});
    run<Traits, 2>("push push | close", capacity, {3, 5000});
    run<Traits, 3>("push | push | pop", capacity, {2, 10000});
    run<Traits, 3>("push | pop | close", capacity, {2, 10000});
    run<Traits, 3>("push | push | close", capacity, {2, 10000});
  }
}

}  // namespace

int main() {
  std::printf("full-width tickets\n");
  all<model_traits>();
  std::printf("8-bit tickets that wrap around\n");
  all<tiny_traits>();
  return result();
}
