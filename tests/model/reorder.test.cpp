// SPDX-License-Identifier: BSL-1.0
//
// What several work on leaves a reorder_window in order, each once, under every schedule: whoever finishes last
// before a look sees that it is done, or becomes the emitter.

#include <support/model.hpp>

#include <millrace/pipeline/reorder_window.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

using window = detail::reorder_window<int, int, model_traits>;

/// Thread t finishes the messages t, t + Threads, ...: `Each` of them, in a window of Threads places.
template <int Threads, int Each>
struct finishes : scenario<finishes<Threads, Each>, Threads> {
  box<window> w;
  atomic<int> free{0};  // messages whose place has been given back; as the queue of permits, it orders that
  int emitted = 0;
  probe emitter;

  void before() { w.make(static_cast<std::size_t>(Threads)); }
  void thread(unsigned index) {
    for (int n = static_cast<int>(index); n < Threads * Each; n += Threads) {
      while (free.load(std::memory_order_acquire) <= n - Threads) model_traits::yield();
      window::place& mine = w->at(index);
      RL_ASSERT(!mine.result);
      mine.result.emplace(n);
      if (!w->finish(index)) continue;
      do {
        w->look();
        while (window::place* const next = w->next()) {
          emitter.write();  // one at a time
          RL_ASSERT(next->result == emitted);
          next->result.reset();
          ++emitted;
          RL_ASSERT(static_cast<int>(w->advance()) == (emitted - 1) % Threads);
          free.store(emitted, std::memory_order_release);
        }
      } while (!w->resign());
    }
  }
  void after() {
    RL_ASSERT(emitted == Threads * Each);
    w.destroy();
  }
};

}  // namespace

int main() {
  const bool is_full = std::getenv("MILLRACE_FULL") != nullptr;
  check<finishes<2, 1>>("two finish", {4, 5000});
  check<finishes<2, 3>>("two finish three times", {is_full ? 4u : 3u, 20000});
  check<finishes<3, 1>>("three finish", {is_full ? 4u : 3u, 20000});
  check<finishes<3, 2>>("three finish twice", {is_full ? 3u : 2u, 20000});
  return result();
}
