// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

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

/// What is told: on standard output what was found; on standard error what went wrong, at any time and
/// by any thread; and on a terminal how far the search is. The printer alone prints and shows that.
class report {
  using clock = std::chrono::steady_clock;

 public:
  explicit report(bool progress) : progress_(progress && ::isatty(STDERR_FILENO) == 1) {
    if (progress_) progress_due_ = clock::now() + std::chrono::milliseconds(200);
  }

  void about(std::string_view path, int error) { about(path, std::system_category().message(error)); }
  void about(std::string_view path, std::string_view what) {
    failed_.store(true, std::memory_order_relaxed);
    std::string line(progress_ ? erase_line : "");
    line.append("search: ").append(path).append(": ").append(what).append("\n");
    (void)write_all(STDERR_FILENO, line);
  }
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  /// Errors: std::system_error.
  void print(std::string_view text) {
    hide_progress();
    if (const int error = write_all(STDOUT_FILENO, text); error != 0)
      throw std::system_error(error, std::system_category());
  }

  /// When show_progress() does something next.
  clock::time_point progress_due() const noexcept { return progress_due_; }
  template <class Count>
  void show_progress(Count files_searched) {
    if (!progress_ || clock::now() < progress_due_) return;
    progress_due_ = clock::now() + std::chrono::milliseconds(100);
    std::string line(erase_line);
    line.append("searched ").append(std::to_string(files_searched())).append(" files");
    shown_ = write_all(STDERR_FILENO, line) == 0;
  }
  void hide_progress() noexcept {
    if (std::exchange(shown_, false)) (void)write_all(STDERR_FILENO, erase_line);
  }

 private:
  static constexpr std::string_view erase_line = "\r\033[K";

  const bool progress_;
  std::atomic<bool> failed_ = false;
  clock::time_point progress_due_ = clock::time_point::max();
  bool shown_ = false;
};

}  // namespace search
