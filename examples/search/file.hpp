// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace search {

/// An open file descriptor, closed by its owner's end.
class descriptor {
 public:
  descriptor() noexcept = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  explicit operator bool() const noexcept { return fd_ >= 0; }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Opens a file met in a directory: not through a link, and without waiting at a device.
inline descriptor open_met(int directory, const char* name) noexcept {
  return descriptor(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/// From the walk to the matchers: a file to search. It is open only where its path would not do: an
/// operand, which may be a link, or a path longer than the system takes.
struct file {
  file(std::string its_path, descriptor its_fd) noexcept : path(std::move(its_path)), fd(std::move(its_fd)) {}

  std::string path;
  descriptor fd;
};

}  // namespace search
