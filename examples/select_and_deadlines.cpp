// SPDX-License-Identifier: BSL-1.0
//
// Waiting for one of several things, for so long at most, or until somebody says stop.

#include <chrono>
#include <iostream>
#include <string>

#include <millrace/millrace.hpp>

using namespace std::chrono_literals;
using millrace::op_status;

millrace::task<> first_of_two(millrace::queue<std::string>& words, millrace::queue<int>& numbers) {
  // Exactly one of them happens; the others leave their queues alone.
  auto came = co_await select(words.pop(), numbers.pop(), millrace::after(1h));
  if (came.index() == 0) std::cout << "a word: " << *came.get<0>() << '\n';
  if (came.index() == 1) std::cout << "a number: " << *came.get<1>() << '\n';
}

millrace::task<> in_vain(millrace::queue<int>& quiet) {
  auto number = co_await quiet.pop().within(10ms);
  if (number.status() == op_status::timeout) std::cout << "nothing came in time\n";
}

millrace::task<> until_stopped(millrace::queue<int>& quiet) {
  while (auto number = co_await quiet.pop()) std::cout << *number << '\n';
  std::cout << "told to stop\n";  // the pop ended with the status cancelled
}

int main() {
  millrace::queue<std::string> words(4);
  millrace::queue<int> numbers(4);
  static_cast<void>(numbers.try_push(42));
  millrace::sync_wait(first_of_two(words, numbers));
  millrace::sync_wait(in_vain(numbers));

  millrace::scope work;
  work.spawn(until_stopped(numbers));
  work.request_stop();
  work.join().wait();
  std::cout << words.size_approx() + numbers.size_approx() << " messages are left\n";
}
