// SPDX-License-Identifier: BSL-1.0
// Ends own their queue: it closes itself when the last producer has gone.
#include <iostream>
#include <utility>

#include <millrace/millrace.hpp>

namespace {

millrace::task<> count(millrace::producer<int> tx, int from, int to) {
  for (int n = from; n < to; ++n) {
    auto sent = co_await tx.push(n);
    if (!sent) co_return;  // the last consumer has gone: nobody wants more
  }
}  // tx goes here, with the coroutine

millrace::task<int> sum(millrace::consumer<int> rx) {
  int total = 0;
  while (auto n = co_await rx.pop()) total += *n;
  co_return total;
}

}  // namespace

int main() {
  auto [tx, rx] = millrace::make_channel<int>(4);
  auto second = tx;  // a copy is one more end
  auto [done, done_too, total] = millrace::sync_wait(millrace::when_all(
      count(std::move(tx), 0, 50), count(std::move(second), 50, 101), sum(std::move(rx))));
  std::cout << "the sum up to 100 is " << total << '\n';
}
