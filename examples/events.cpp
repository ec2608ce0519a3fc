// SPDX-License-Identifier: BSL-1.0
// The events of a game, by name: who publishes and who listens know the bus, never each other.
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <millrace/millrace.hpp>

namespace {

struct hit {
  std::string by;
  int points;
};

/// On screen for as long as it lives.
class score_board {
 public:
  explicit score_board(millrace::message_bus& bus)
      : hits_(bus.subscribe<hit>("players/*/hit", [this](const hit& h) {
          total_ += h.points;
          std::cout << "board: " << total_ << " points\n";
        })) {}

 private:
  int total_ = 0;
  millrace::subscription hits_;  // the last member goes first: nothing is called on half a board
};

}  // namespace

int main() {
  millrace::message_bus bus;

  // A subscription to names may come before the topics themselves: * is one level, # all that follow.
  auto board = std::make_unique<score_board>(bus);
  int hits = 0;
  auto counting = bus.subscribe<hit>("players/#", [&](const hit&) { ++hits; });

  // A callback runs under no lock: it may disconnect itself, and destroy who else is called.
  millrace::subscription first;
  first = bus.subscribe<hit>("players/*/hit", [&](const hit& h) {
    std::cout << h.by << " draws first blood\n";
    first.disconnect();
  });

  // Any thread may publish. A topic is looked up once, and published to without a lookup.
  std::thread network([&] {
    auto ann = bus.topic<hit>("players/ann/hit");
    auto bob = bus.topic<hit>("players/bob/hit");
    ann.publish({"ann", 10});
    bob.publish({"bob", 25});
  });
  network.join();
  board.reset();
  bus.topic<hit>("players/bob/hit").publish({"bob", 25});
  std::cout << hits << " hits in all\n";
}
