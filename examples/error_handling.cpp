// SPDX-License-Identifier: BSL-1.0
// Where an exception goes: a task's to who awaits it, a producer's with the queue that it closes, a callback's to who
// publishes. That a queue is closed, full or late is no exception: it is a status.
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include <millrace/millrace.hpp>

namespace {

millrace::task<int> parse(std::string text) { co_return std::stoi(text); }  // throws

millrace::task<> read(millrace::queue<int>& numbers) {
  std::exception_ptr reason;
  try {
    for (const char* text : {"1", "2", "three"}) {
      const int n = co_await parse(text);
      auto sent = co_await numbers.push(n);
      if (!sent) break;
    }
  } catch (const std::invalid_argument&) {
    reason = std::current_exception();
  }
  numbers.close(reason);  // what is buffered can still be popped
}

millrace::task<> add(millrace::queue<int>& numbers) {
  int sum = 0;
  while (auto n = co_await numbers.pop()) sum += *n;
  std::cout << "sum so far: " << sum << '\n';
  if (auto reason = numbers.close_reason()) std::rethrow_exception(reason);
}

}  // namespace

int main() {
  millrace::queue<int> numbers(8);
  millrace::scope work;
  work.spawn(read(numbers));
  work.spawn(add(numbers));
  try {
    work.join().wait();  // the first exception of a task is rethrown, once all have ended
  } catch (const std::invalid_argument&) {
    std::cout << "the reader failed\n";
  }

  // All callbacks are called; what they throw is then thrown to who publishes (or collected, or given to a sink).
  millrace::callback_registry<void(int)> readings;
  auto broken = readings.subscribe([](int) { throw std::runtime_error("no display"); });
  auto fine = readings.subscribe([](int value) { std::cout << "read " << value << '\n'; });
  try {
    readings.publish(42);
  } catch (const std::runtime_error& error) {
    std::cout << "a callback failed: " << error.what() << '\n';
  }
}
