// SPDX-License-Identifier: BSL-1.0
// No message is lost when a queue is closed: what waits comes back, what is buffered stays.
#include <exception>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<std::string> q(2);
  for (const char* letter : {"first", "second"}) {
    if (q.try_push(letter) != millrace::op_status::ok) return 1;
  }

  // The queue is full: this push waits, and keeps its message.
  q.push("third").start([](millrace::push_result<std::string> sent) {
    if (!sent) std::cout << "handed back: " << sent.value() << '\n';
  });

  q.close(std::make_exception_ptr(std::runtime_error("the office is shut")));

  std::vector<std::string> rest;
  q.close_and_drain(std::back_inserter(rest));
  for (const std::string& letter : rest) std::cout << "left over: " << letter << '\n';

  try {
    std::rethrow_exception(q.close_reason());
  } catch (const std::exception& reason) {
    std::cout << "because " << reason.what() << '\n';
  }
}
