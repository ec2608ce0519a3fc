// SPDX-License-Identifier: BSL-1.0
// A callback consumes a queue. It runs on an executor: here a loop that main() drives.
#include <iostream>
#include <string>
#include <utility>

#include <millrace/millrace.hpp>

int main() {
  millrace::run_loop loop;
  millrace::bounded_queue<std::string> orders(8);

  // The subscription disconnects when it goes. {.concurrency = n} lets n calls run at the same time.
  auto subscription = millrace::on_message(orders, loop, [&](std::string order) {
    std::cout << "got " << order << '\n';
    if (order == "the last one") loop.finish();
  });

  // One operation, called back once: at once if it can, else when it completes.
  orders.push("apples").start([](millrace::push_result<std::string> sent) {
    std::cout << (sent ? "sent apples\n" : "apples came back\n");
  });

  for (const char* order : {"pears", "the last one"}) {
    if (orders.try_push(order) != millrace::op_status::ok) return 1;
  }
  loop.run();
}
