// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <utility>

#include "support/workloads.hpp"

namespace bench {

/// Asio's coroutines on its pool of threads.
class asio_world {
 public:
  using task = asio::awaitable<void>;

  explicit asio_world(unsigned threads) : pool_(threads) {}
  ~asio_world() { pool_.join(); }

  void spawn(task work) {
    ++running_;
    asio::co_spawn(pool_, std::move(work), [this](std::exception_ptr error) {
      if (error) std::terminate();
      if (--running_ == 0) running_.notify_all();
    });
  }
  void join() {
    for (std::size_t left = running_; left != 0; left = running_) running_.wait(left);
  }
  asio::thread_pool& pool() { return pool_; }

 private:
  asio::thread_pool pool_;
  std::atomic<std::size_t> running_{0};
};

class asio_channel {
 public:
  static constexpr const char* name = "asio::concurrent_channel";
  using world = asio_world;

  asio_channel(asio_world& where, std::size_t capacity) : channel_(where.pool(), capacity) {}
  auto push(message m) { return channel_.async_send(asio::error_code{}, m, asio::use_awaitable); }
  auto pop() { return channel_.async_receive(asio::use_awaitable); }

 private:
  asio::experimental::concurrent_channel<void(asio::error_code, message)> channel_;
};

}  // namespace bench
