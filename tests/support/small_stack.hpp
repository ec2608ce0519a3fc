// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>

#include <cstddef>
#include <stdexcept>

namespace support {

/// Runs f() on a thread whose stack has 256 KiB, and waits for it: recursion that grows with the
/// work would crash.
template <class F>
void on_a_small_stack(F f) {
  constexpr std::size_t bytes = 256 * 1024;
  pthread_attr_t attributes;
  pthread_t thread;
  const auto body = [](void* context) -> void* {
    (*static_cast<F*>(context))();
    return nullptr;
  };
  if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, bytes) != 0 ||
      pthread_create(&thread, &attributes, body, &f) != 0) {
    throw std::runtime_error("cannot start a thread with a small stack");
  }
  pthread_attr_destroy(&attributes);
  pthread_join(thread, nullptr);
}

}  // namespace support
