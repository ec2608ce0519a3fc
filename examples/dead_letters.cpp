// SPDX-License-Identifier: BSL-1.0
// A stage that may fail: it tries again, and what fails for good goes to a queue of dead letters.
#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <millrace/millrace.hpp>

namespace {

/// A service that is down at first, and never understands "??".
std::string ask(const std::string& question) {
  static int calls = 0;
  if (++calls == 1) throw std::runtime_error("connection refused");
  if (question == "??") throw std::runtime_error("not understood");
  return question + " yes";
}

std::string reason_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& reason) {
    return reason.what();
  }
}

}  // namespace

int main() {
  using namespace millrace;
  using namespace std::chrono_literals;
  thread_pool pool(1);
  queue<failed<std::string>> letters(8);
  const std::vector<std::string> questions{"rain?", "??", "snow?"};

  // Up to three attempts, 1 ms and about 2 ms apart; then the message and its error are put aside.
  auto answers = start(pool, from(questions)
                                 | map(ask, {.name = "ask"})
                                       .on_error(retry{.attempts = 3, .first = 1ms}, dead_letter(letters))
                                 | for_each([](const std::string& answer) { std::cout << answer << '\n'; }));
  answers.wait();

  while (auto letter = letters.try_pop()) {
    std::cout << letter->stage << " failed " << letter->attempts << " times at " << letter->message << ": "
              << reason_of(letter->error) << '\n';
  }
}
