// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.hpp"
#include "report.hpp"

namespace search {

/// Finds the files under the operands, one at a time.
///
/// Links are followed where they are operands, and passed over where they are met, as devices are;
/// so links cannot make a loop. Of a deep tree only the innermost directories are open: an outer
/// one is closed, and opened again at the same entry when the walk comes back to it.
class walker {
 public:
  walker(const std::vector<const char*>& operands, report& errors)
      : operands_(operands), errors_(errors) {}
  walker(const walker&) = delete;
  walker& operator=(const walker&) = delete;
  ~walker() {
    for (const level& each : levels_)
      if (each.dir != nullptr) ::closedir(each.dir);
  }

  /// The next file; nothing at the end.
  std::optional<file> next() {
    for (;;) {
      if (levels_.empty()) {
        if (next_operand_ == operands_.size()) return std::nullopt;
        if (auto found = open_operand(operands_[next_operand_++])) return found;
        continue;
      }
      const level& here = levels_.back();
      path_.resize(here.path_size);
      errno = 0;
      const dirent* const entry = ::readdir(here.dir);
      if (entry == nullptr) {
        if (errno != 0) errors_.about(name_of(here), errno);
        leave();
        continue;
      }
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      path_ += name;
      const int directory = ::dirfd(here.dir);
      switch (type_of(*entry, directory)) {
        case DT_DIR:
          enter(::openat(directory, entry->d_name, open_directory | O_NOFOLLOW));
          break;
        case DT_REG: {
          descriptor fd;
          if (path_.size() >= PATH_MAX && !(fd = open_met(directory, entry->d_name))) {
            if (errno != ELOOP) errors_.about(path_, errno);
            break;
          }
          return file(path_, std::move(fd));
        }
        default:
          break;
      }
    }
  }

 private:
  static constexpr std::size_t max_open = 64;  // directories at a time
  static constexpr int open_directory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

  struct level {
    DIR* dir;               // null: closed for now
    std::size_t path_size;  // of the directory's path with the slash behind it
    long entry = 0;         // where to go on, if closed
    dev_t device = 0;       // what it was, if closed
    ino_t inode = 0;
  };

  std::string_view name_of(const level& which) const {
    return std::string_view(path_).substr(0, which.path_size > 1 ? which.path_size - 1 : 1);
  }

  /// Nothing: the operand is a directory, where the walk goes on, or cannot be opened.
  std::optional<file> open_operand(const char* operand) {
    path_ = operand;
    if (path_ == "-") return file("(standard input)", descriptor(::dup(STDIN_FILENO)));
    descriptor fd(::open(operand, O_RDONLY | O_NOCTTY | O_CLOEXEC));
    struct stat is {};
    if (!fd || ::fstat(fd.get(), &is) != 0) {
      errors_.about(path_, errno);
      return std::nullopt;
    }
    if (!S_ISDIR(is.st_mode)) return file(path_, std::move(fd));
    const bool twice = path_ == "//";  // the one name that keeps its second slash
    while (path_.ends_with('/')) path_.pop_back();
    if (twice) path_ = '/';
    enter(fd.release());
    return std::nullopt;
  }

  unsigned char type_of(const dirent& entry, int directory) {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type;
    struct stat is {};  // a file system that does not tell
    if (::fstatat(directory, entry.d_name, &is, AT_SYMLINK_NOFOLLOW) != 0) {
      errors_.about(path_, errno);
      return DT_UNKNOWN;
    }
    return S_ISDIR(is.st_mode) ? DT_DIR : S_ISREG(is.st_mode) ? DT_REG : DT_UNKNOWN;
  }

  /// The walk goes on in the directory `path_`, open as `fd`.
  void enter(int fd) {
    DIR* const dir = fd < 0 ? nullptr : ::fdopendir(fd);
    if (dir == nullptr) {
      errors_.about(path_, errno);
      if (fd >= 0) ::close(fd);
      return;
    }
    path_ += '/';
    levels_.push_back({dir, path_.size()});
    if (levels_.size() - first_open_ <= max_open) return;
    level& outermost = levels_[first_open_++];
    struct stat is {};
    ::fstat(::dirfd(outermost.dir), &is);
    outermost.device = is.st_dev;
    outermost.inode = is.st_ino;
    outermost.entry = ::telldir(outermost.dir);
    ::closedir(std::exchange(outermost.dir, nullptr));
  }

  /// The innermost directory is done: back to the one around it.
  void leave() {
    DIR* const left = levels_.back().dir;
    levels_.pop_back();
    if (!levels_.empty() && levels_.back().dir == nullptr &&
        !reopen(levels_.back(), ::dirfd(left))) {
      errors_.about(name_of(levels_.back()), errno);
      levels_.clear();  // no way up from here
    }
    if (levels_.empty()) first_open_ = 0;
    ::closedir(left);
  }

  bool reopen(level& outer, int inner) {
    descriptor fd(::openat(inner, "..", open_directory));
    struct stat is {};
    if (!fd || ::fstat(fd.get(), &is) != 0) return false;
    if (is.st_dev != outer.device || is.st_ino != outer.inode) {
      errno = ENOENT;  // the inner one was moved away meanwhile
      return false;
    }
    outer.dir = ::fdopendir(fd.get());
    if (outer.dir == nullptr) return false;
    fd.release();
    ::seekdir(outer.dir, outer.entry);
    --first_open_;
    return true;
  }

  const std::vector<const char*>& operands_;
  report& errors_;
  std::size_t next_operand_ = 0;
  std::string path_;            // of what the walk is at
  std::vector<level> levels_;   // from the operand inwards
  std::size_t first_open_ = 0;  // the levels before it are closed
};

}  // namespace search
