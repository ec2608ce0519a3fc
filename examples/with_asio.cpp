// SPDX-License-Identifier: BSL-1.0
// Standalone Asio waits for the world outside, millrace for other parts of the program: their coroutines share queues.
#include <asio.hpp>

#include <chrono>
#include <iostream>
#include <string>

#include <millrace/interop/asio.hpp>
#include <millrace/millrace.hpp>

namespace {

using lines = millrace::queue<std::string>;
using namespace std::chrono_literals;

/// On Asio's loop: waits for a timer, as it would for a socket, and pushes what has come.
asio::awaitable<void> receive(lines& requests) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (std::string request : {"ping", "status"}) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
    auto sent = co_await millrace::async_run(requests.push(std::move(request)), asio::use_awaitable);
    if (!sent) break;
  }
  requests.close();
}

/// On Asio's loop: any completion token does, and so do millrace's deadlines.
asio::awaitable<void> reply(lines& answers) {
  while (auto answer = co_await millrace::async_run(answers.pop().within(1h), asio::use_awaitable)) {
    std::cout << *answer << '\n';
  }
}

/// On millrace's pool: knows nothing of Asio.
millrace::task<> work(lines& requests, lines& answers) {
  while (auto request = co_await requests.pop()) {
    auto sent = co_await answers.push("re: " + *request);
    if (!sent) break;
  }
  answers.close();
}

}  // namespace

int main() {
  millrace::thread_pool pool(1);
  lines requests(8);
  lines answers(8);
  millrace::scope workers;
  workers.spawn(pool, work(requests, answers));  // asio_executor(io_context) would run it on Asio's loop

  asio::io_context loop;
  asio::co_spawn(loop, receive(requests), asio::detached);
  asio::co_spawn(loop, reply(answers), asio::detached);
  loop.run();
  workers.join().wait();
}
