// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

#include "stats.hpp"

namespace search {

/// Writes all of it, however long that takes. 0, or what went wrong.
inline int write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

/// What is told on standard error: errors, at any time and by any thread; and on a terminal, by the
/// printer alone, how far the search is.
class report {
 public:
  explicit report(bool progress) : progress_(progress && ::isatty(STDERR_FILENO) == 1) {}

  void about(std::string_view path, int error) {
    about(path, std::system_category().message(error));
  }
  void about(std::string_view path, std::string_view what) {
    failed_.store(true, std::memory_order_relaxed);
    std::string line(progress_ ? erase_line : "");
    line.append("search: ").append(path).append(": ").append(what).append("\n");
    (void)write_all(STDERR_FILENO, line);
  }
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  /// Whether it is time for another progress line. Asked by one thread at a time.
  bool progress_due() noexcept {
    if (!progress_) return false;
    const auto now = steady::now();
    if (now < next_progress_) return false;
    next_progress_ = now + std::chrono::milliseconds(100);
    return true;
  }
  void show_progress(std::uint64_t files) {
    std::string line(erase_line);
    line.append("searched ").append(std::to_string(files)).append(" files");
    shown_ = write_all(STDERR_FILENO, line) == 0;
  }
  void hide_progress() noexcept {
    if (shown_) (void)write_all(STDERR_FILENO, erase_line);
    shown_ = false;
  }

 private:
  static constexpr std::string_view erase_line = "\r\033[K";

  const bool progress_;
  std::atomic<bool> failed_ = false;
  // The printer's:
  bool shown_ = false;
  // The walk's:
  time_point next_progress_ = steady::now() + std::chrono::milliseconds(200);
};

}  // namespace search
