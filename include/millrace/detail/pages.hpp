// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace millrace::detail {

/// Gives the whole pages inside this memory back to the system. The memory stays allocated; until it is
/// written again, it reads as zeros or as it was. Does nothing where that cannot be had; errno stays.
inline void discard_pages(void* memory, std::size_t bytes) noexcept {
#if defined(MADV_DONTNEED) && defined(__linux__)
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto from = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const auto to = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
  if (from >= to) return;
  const int error = errno;
  ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  errno = error;
#else
  (void)memory;
  (void)bytes;
#endif
}

}  // namespace millrace::detail
