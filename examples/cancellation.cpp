// SPDX-License-Identifier: BSL-1.0
// Being told to stop: a scope stops what it owns, a token stops one operation, and what must be finished is shielded.
#include <iostream>
#include <string>
#include <utility>

#include <millrace/millrace.hpp>

namespace {

using millrace::op_status;

millrace::task<> serve(millrace::queue<std::string>& requests, millrace::queue<std::string>& log) {
  while (auto request = co_await requests.pop()) {  // ends: closed, or told to stop
    auto logged = co_await log.push("served " + *request);
    if (!logged) co_return;
  }
  // The scope says stop, so each wait of this task ends `cancelled`; {} shields this one from that.
  std::string last = "goodbye";
  auto logged = co_await log.push(std::move(last)).with({});
  if (!logged) std::cout << "not logged\n";
}

}  // namespace

int main() {
  millrace::queue<std::string> requests(4);
  millrace::queue<std::string> log(4);

  millrace::scope server;
  server.spawn(serve(requests, log));  // runs until it has to wait
  if (requests.try_push("a page") != op_status::ok) return 1;
  server.request_stop();
  server.join().wait();  // no task outlives its scope
  while (auto line = log.try_pop()) std::cout << *line << '\n';

  // A message is never lost to a stop: either it was delivered, or it is still in the queue.
  if (requests.try_push("another page") != op_status::ok) return 1;
  millrace::stop_source stop;
  stop.request_stop();
  auto none = requests.pop().with(stop.token()).wait();
  if (none.status() == op_status::cancelled) std::cout << "cancelled, and nothing was taken\n";
  std::cout << "left: " << *requests.try_pop() << '\n';

  // As a stop of one operation that waits, from wherever that is decided.
  millrace::stop_source hurry;
  requests.pop().with(hurry.token()).start([](millrace::pop_result<std::string> request) {
    if (request.status() == op_status::cancelled) std::cout << "gave up waiting\n";
  });
  hurry.request_stop();
}
