// SPDX-License-Identifier: BSL-1.0
// Two coroutines and a queue between them.

#include <iostream>
#include <string>

#include <millrace/millrace.hpp>

millrace::task<> produce(millrace::bounded_queue<std::string>& q) {
  for (std::string word : {"hello", "from", "millrace"}) {
    auto sent = co_await q.push(std::move(word));  // waits while the queue is full
    if (!sent) break;                              // closed: the word is in sent.value()
  }
  q.close();
}
millrace::task<> consume(millrace::bounded_queue<std::string>& q) {
  while (auto word = co_await q.pop()) std::cout << *word << '\n';  // ends: closed and empty
}
int main() {
  millrace::bounded_queue<std::string> q(2);
  millrace::sync_wait(millrace::when_all(produce(q), consume(q)));
}
