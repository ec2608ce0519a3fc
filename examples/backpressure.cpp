// SPDX-License-Identifier: BSL-1.0
// What a push does where a bounded queue is full: it waits, it comes back, or it takes the place of the oldest.
#include <chrono>
#include <iostream>
#include <string>

#include <millrace/millrace.hpp>

namespace {

using millrace::op_status;
using millrace::overflow_policy;

millrace::task<> produce(millrace::queue<int>& q) {
  for (int n = 1; n <= 4; ++n) {
    auto sent = co_await q.push(n);  // capacity 1: each waits until the one before it is taken
    if (!sent) break;
    std::cout << "pushed " << n << '\n';
  }
  q.close();
}

millrace::task<int> consume(millrace::queue<int>& q) {
  int sum = 0;
  while (auto n = co_await q.pop()) sum += *n;
  co_return sum;
}

}  // namespace

int main() {
  // Wait, the default: who is too fast goes at the pace of who is slow.
  millrace::queue<int> waits(1);
  auto [done, sum] = millrace::sync_wait(millrace::when_all(produce(waits), consume(waits)));
  std::cout << "sum " << sum << '\n';

  // Or wait for so long at most. The message is never lost: it is in the result.
  millrace::queue<std::string> full(1);
  if (full.try_push("first") != op_status::ok) return 1;
  auto late = full.push("second").within(std::chrono::milliseconds(1)).wait();
  if (late.status() == op_status::timeout) std::cout << "timed out: " << late.value() << '\n';

  // Reject: a push never waits.
  millrace::queue<std::string> rejects(1, {.overflow = overflow_policy::reject});
  if (rejects.try_push("first") != op_status::ok) return 1;
  auto refused = rejects.push("second").wait();
  if (refused.status() == op_status::full) std::cout << "refused: " << refused.value() << '\n';

  // Displace: the newest are what counts, as for prices or positions. The oldest one is handed over.
  millrace::queue<int> latest(2, {.overflow = overflow_policy::displace_oldest});
  for (int price : {100, 101, 102}) {
    auto sent = latest.push(price).wait();
    if (sent.returned()) std::cout << "displaced " << sent.value() << '\n';
  }
  while (auto price = latest.try_pop()) std::cout << "price " << *price << '\n';
}
