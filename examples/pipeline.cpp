// SPDX-License-Identifier: BSL-1.0
//
// A pipeline: lines of text to orders, those of one symbol in order, in batches for who books them. A line that
// cannot be read ends it, and nothing is lost: what is inside is handed over.

#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <millrace/millrace.hpp>

struct order {
  std::string symbol;
  int amount;
};

order parse(const std::string& line) {
  const auto space = line.find(' ');
  if (space == std::string::npos) throw std::runtime_error("no amount: " + line);
  return {line.substr(0, space), std::stoi(line.substr(space + 1))};
}

int main() {
  using namespace millrace;
  thread_pool pool(2);
  const std::vector<std::string> lines{"ACME 3", "BOLT 5", "ACME -1", "BOLT 2", "ACME 7"};

  auto booked = start(
      pool, from(lines)                                                // where messages come from
                | map(parse, {.workers = 2, .ordered = true})          // in parallel
                | filter([](const order& o) { return o.amount > 0; })  // these two need no queue
                | map([](order& o) { return o.symbol + '*' + std::to_string(o.amount); })  // between them
                | batch(2) | collect());
  for (const auto& group : booked.wait()) {
    for (const std::string& each : group) std::cout << each << ' ';
    std::cout << '\n';
  }

  auto fails = start(
      pool, from(std::vector<std::string>{"ACME"}) | map(parse) | collect(),
      [](const undelivered& message) { std::cout << "left: " << *message.get_if<std::string>() << '\n'; });
  try {
    fails.wait();
  } catch (const std::runtime_error& error) {
    std::cout << error.what() << '\n';
  }
}
