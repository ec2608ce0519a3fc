// SPDX-License-Identifier: BSL-1.0

// Hand-offs in chains of coroutines, on a stack of 256 KiB and without optimization: a program, so
// that `ulimit -s 256` holds for the main thread too. Exits with 0 if all messages arrived.

#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

#include <millrace/millrace.hpp>

namespace {

using queue = millrace::bounded_queue<int>;

millrace::task<> stage(queue& in, queue& out) {
  while (auto m = co_await in.pop()) {
    int next = *m + 1;
    auto sent = co_await out.push(next);
    if (!sent) break;
  }
  out.close();
}

millrace::task<> source(queue& out, int messages) {
  for (int i = 0; i < messages; ++i) {
    auto sent = co_await out.push(0);
    if (!sent) break;
  }
  out.close();
}

millrace::task<long> sink(queue& in) {
  long sum = 0;
  while (auto m = co_await in.pop()) sum += *m;
  co_return sum;
}

/// A chain of stages, all of them parked before the first message comes.
long chain(std::size_t stages, int messages, std::size_t capacity, bool on_a_pool) {
  std::vector<std::unique_ptr<queue>> queues;
  for (std::size_t i = 0; i <= stages; ++i) queues.push_back(std::make_unique<queue>(capacity));
  millrace::scope scope;
  long sum = 0;
  if (on_a_pool) {
    millrace::thread_pool pool(2);
    for (std::size_t i = 0; i < stages; ++i) {
      scope.spawn(pool, stage(*queues[i], *queues[i + 1]));
    }
    scope.spawn(pool, source(*queues[0], messages));
    sum = millrace::sync_wait(sink(*queues[stages]));
    scope.join().wait();
  } else {
    // No executor: each hand-off is a wake-up on the thread that pushes.
    for (std::size_t i = 0; i < stages; ++i) scope.spawn(stage(*queues[i], *queues[i + 1]));
    scope.spawn(source(*queues[0], messages));
    sum = millrace::sync_wait(sink(*queues[stages]));
    scope.join().wait();
  }
  return sum;
}

/// A plain thread pushes into a chain of coroutines that have no executor.
long pushed_by_a_thread(std::size_t stages, int messages) {
  std::vector<std::unique_ptr<queue>> queues;
  for (std::size_t i = 0; i <= stages; ++i) queues.push_back(std::make_unique<queue>(1));
  millrace::scope scope;
  for (std::size_t i = 0; i < stages; ++i) scope.spawn(stage(*queues[i], *queues[i + 1]));
  long sum = 0;
  for (int i = 0; i < messages; ++i) {
    int zero = 0;
    if (queues[0]->try_push(zero) != millrace::op_status::ok) return -1;
    if (auto m = queues[stages]->try_pop()) sum += *m;
  }
  queues[0]->close();
  scope.join().wait();
  return sum;
}

int failures = 0;

void expect(const char* what, long found, long wanted) {
  std::printf("%-50s %ld\n", what, found);
  if (found != wanted) {
    std::printf("  but wanted %ld\n", wanted);
    ++failures;
  }
}

}  // namespace

int main() {
  expect("1,000,000 stages, 1 message, one thread", chain(1'000'000, 1, 1, false), 1'000'000);
  expect("1,000 stages, 1,000 messages, one thread", chain(1000, 1000, 1, false), 1'000'000);
  expect("1,000 stages, 1,000 messages, capacity 4, a pool", chain(1000, 1000, 4, true), 1'000'000);
  expect("100,000 stages, 10 messages by a plain thread", pushed_by_a_thread(100'000, 10), 1'000'000);
  return failures == 0 ? 0 : 1;
}
