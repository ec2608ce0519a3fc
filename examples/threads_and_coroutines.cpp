// SPDX-License-Identifier: BSL-1.0
// A plain thread feeds coroutines that run on a pool: both wait on the same queue.
#include <cstdint>
#include <iostream>
#include <thread>

#include <millrace/millrace.hpp>

namespace {

using numbers = millrace::bounded_queue<std::uint64_t>;

millrace::task<> square(numbers& in, numbers& out) {
  while (auto n = co_await in.pop()) {
    auto sent = co_await out.push(*n * *n);
    if (!sent) break;
  }
}

}  // namespace

int main() {
  millrace::thread_pool pool(2);
  numbers in(16);
  numbers out(16);

  millrace::scope workers;
  for (int i = 0; i < 4; ++i) workers.spawn(pool, square(in, out));

  std::thread feeder([&] {
    for (std::uint64_t n = 1; n <= 1000; ++n) {
      if (!in.push(n).wait()) break;  // blocks this thread while the queue is full
    }
    in.close();
    workers.join().wait();
    out.close();
  });

  std::uint64_t sum = 0;
  while (auto n = out.pop().wait()) sum += *n;
  feeder.join();
  std::cout << "the sum of the squares up to 1000 is " << sum << '\n';
}
