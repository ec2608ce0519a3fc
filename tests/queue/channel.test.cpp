// SPDX-License-Identifier: BSL-1.0
#include <millrace/queue/channel.hpp>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

struct fake_queue {
  explicit fake_queue(std::size_t n) : capacity(n) {}
  std::size_t capacity;
  int closed = 0;
  void close() noexcept { ++closed; }
};

/// A queue that is built from more than a number.
struct named_queue {
  named_queue(std::size_t n, std::unique_ptr<int> id) : capacity(n), name(std::move(id)) {}
  std::size_t capacity;
  std::unique_ptr<int> name;
};

using channel = millrace::detail::channel<fake_queue>;
using end = millrace::detail::channel_end<fake_queue, &channel::producers>;

}  // namespace

TEST_CASE("a channel closes its queue once, when the last end of a kind goes") {
  auto shared = std::make_shared<channel>(3);
  CHECK(shared->queue.capacity == 3);
  {
    end first(shared);
    {
      end copy(first);
      end moved(std::move(copy));
      CHECK(&moved.queue() == &shared->queue);
    }
    CHECK(shared->queue.closed == 0);
  }
  CHECK(shared->queue.closed == 1);
}

TEST_CASE("a copy of an end that was moved away is no end") {
  auto shared = std::make_shared<channel>(1);
  end first(shared);
  {
    const end moved(std::move(first));
    const end nothing(first);
    first = nothing;
    CHECK(shared->producers.load(std::memory_order_relaxed) == 1);
    CHECK(shared->queue.closed == 0);
  }
  CHECK(shared->queue.closed == 1);
}

TEST_CASE("a channel hands its arguments on to its queue") {
  const millrace::detail::channel<named_queue> shared(3, std::make_unique<int>(7));
  CHECK(shared.queue.capacity == 3);
  CHECK(*shared.queue.name == 7);
}

TEST_CASE("ends may be copied and dropped by many threads") {
  auto shared = std::make_shared<channel>(1);
  {
    end first(shared);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([mine = first] {
        for (int i = 0; i < 10000; ++i) end copy(mine);
      });
    }
    for (auto& t : threads) t.join();
    CHECK(shared->queue.closed == 0);
  }
  CHECK(shared->queue.closed == 1);
  CHECK(shared.use_count() == 1);
}
