// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.hpp"
#include "pattern.hpp"
#include "report.hpp"

namespace search {

inline std::uint64_t count_newlines(const char* first, const char* last) noexcept {
  constexpr std::ptrdiff_t lanes = 64;  // each counts in a byte, so that the compiler uses vectors
  std::uint64_t count = 0;
  while (last - first >= lanes) {
    unsigned char sums[lanes] = {};
    for (int round = 0; round != 255 && last - first >= lanes; ++round, first += lanes)
      for (std::ptrdiff_t i = 0; i != lanes; ++i)
        sums[i] = static_cast<unsigned char>(sums[i] + (first[i] == '\n' ? 1 : 0));
    for (const unsigned char sum : sums) count += sum;
  }
  for (; first != last; ++first) count += *first == '\n' ? 1u : 0u;
  return count;
}

/// Reads one file after the other and gathers the lines that match, each as path:line:text.
///
/// It reads pieces as large as grep's, and searches the whole lines of each at once. A piece with a
/// NUL in it makes the file a binary one, of which nothing more is searched: grep's pieces, grep's
/// answers.
/// Memory     about 200 KiB; 8 MiB for a line of more than 92 KiB, and as much again to ignore its
///            case, so it asks first. A line of more than that is reported and passed over.
class scanner {
 public:
  struct settings {
    settings(const pattern& what, report& its_told, std::atomic<bool>& has_matched,
             const std::vector<const char*>& operands)
        : look_for(what), told(its_told), matched(has_matched) {
      struct ::stat is{};
      with_path = operands.size() > 1 || (::stat(operands[0], &is) == 0 && S_ISDIR(is.st_mode));
      ::fstat(STDOUT_FILENO, &output);
      if (::isatty(STDOUT_FILENO) == 1) enough = 1;  // somebody is waiting for it
    }

    const pattern& look_for;
    report& told;
    std::atomic<bool>& matched;      // set where a file has a line that matches, and is no binary one
    bool with_path;                  // before each line
    struct ::stat output{};          // a file that is not searched
    std::size_t enough = 32 * 1024;  // bytes of text, to hand them over
  };
  enum class step {
    text,       // there is enough text; more may follow
    long_line,  // a line is long: call allow_long_lines() when the memory may be used
    end         // of the file
  };

  explicit scanner(const settings& how) : how_(how), finder_(how.look_for) { use_buffer(usual_capacity); }

  void open(file next) {
    path_ = std::move(next.path);
    prefix_ = how_.with_path ? path_ + ":" : std::string();
    fd_ = next.fd ? std::move(next.fd) : open_met(AT_FDCWD, path_.c_str());
    keep_nothing();
    line_ = 1;
    matches_ = 0;
    first_piece_ = true;
    skipping_ = false;
    if (!fd_) {
      if (errno != ELOOP) how_.told.about(path_, errno);  // by now it is a link
    } else if (S_ISREG(how_.output.st_mode) && is_output()) {
      how_.told.about(path_, "input file is also the output");
      fd_ = descriptor();
    }
  }

  /// Appends matching lines to the text.
  step next(std::string& text) {
    for (;;) {
      if (!gather(text)) return step::text;
      if (!fd_) break;
      if (!make_room()) return step::long_line;
      read_piece();
    }
    if (matches_ != 0) how_.matched.store(true, std::memory_order_relaxed);
    return step::end;
  }

  void allow_long_lines() { use_buffer(long_capacity); }

 private:
  // The buffer is laid out like grep's, because what is binary depends on where the pieces end:
  // they are whole pages in memory, and fewer of them behind a long incomplete line. How long it is
  // then depends on where in a page the buffer begins: here, where grep's does for most patterns.
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t buffer_in_page = 2032;
  static constexpr std::size_t largest_piece = 24 * page;
  static constexpr std::size_t slop = 8;
  static constexpr std::size_t usual_capacity = largest_piece + page + slop;
  static constexpr std::size_t long_capacity = (8 << 20) + 4 * page;

  /// Where a piece goes so that it begins a page and the kept bytes fit before it.
  static constexpr std::size_t place_for(std::size_t kept) noexcept {
    return (buffer_in_page + 1 + kept + page - 1) / page * page - buffer_in_page;
  }

  void keep_nothing() noexcept { counted_ = begin_ = whole_ = end_ = buffer_.get() + place_for(0); }

  /// Moves the incomplete line to the front of this buffer, which may be the current one.
  void keep(char* buffer) noexcept {
    line_ += count_newlines(counted_, begin_);
    const auto kept = static_cast<std::size_t>(end_ - begin_);
    char* const at = buffer + place_for(kept);
    if (kept != 0) std::memmove(at - kept, begin_, kept);
    counted_ = begin_ = whole_ = at - kept;
    end_ = at;
  }

  void use_buffer(std::size_t capacity) {
    auto other = std::make_unique_for_overwrite<char[]>(capacity);
    keep(other.get());
    buffer_ = std::move(other);
    capacity_ = capacity;
  }

  /// How many bytes the next piece may have.
  std::size_t room() const noexcept {
    const auto used = static_cast<std::size_t>(end_ - buffer_.get()) + slop;
    return used > capacity_ ? 0 : std::min((capacity_ - used) / page * page, largest_piece);
  }

  /// False: it needs leave to use more memory.
  bool make_room() noexcept {
    if (room() != 0) return true;
    if (place_for(static_cast<std::size_t>(end_ - begin_)) + page + slop <= capacity_) {
      keep(buffer_.get());
      return true;
    }
    if (capacity_ == usual_capacity) return false;
    line_ += count_newlines(counted_, begin_);
    skipping_ = true;
    keep_nothing();
    return true;
  }

  /// Gathers the matching lines in [begin_, whole_). False: enough text before the end.
  bool gather(std::string& text) {
    while (begin_ != whole_) {
      const char* const hit = finder_.next(begin_);
      if (hit == whole_) {
        begin_ = whole_;
        break;
      }
      const std::string_view before(begin_, static_cast<std::size_t>(hit - begin_));
      char* const line = begin_ + (before.rfind('\n') + 1);  // npos + 1 is 0
      char* const rest = line + (hit - line);
      const auto left = static_cast<std::size_t>(whole_ - rest);
      begin_ = static_cast<char*>(std::memchr(rest, '\n', left)) + 1;
      line_ += count_newlines(counted_, line);
      counted_ = line;
      ++matches_;

      char number[24];
      char* const number_end = std::to_chars(number, number + sizeof number, line_).ptr;
      const auto size = static_cast<std::size_t>(begin_ - line);
      if (size > how_.enough) text.reserve(text.size() + prefix_.size() + sizeof number + size);
      text.append(prefix_).append(number, static_cast<std::size_t>(number_end - number));
      text.append(1, ':').append(line, size);
      if (text.size() >= how_.enough) return false;
    }
    return true;
  }

  void read_piece() {
    ssize_t got;
    do got = ::read(fd_.get(), end_, room());
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
      if (got < 0) how_.told.about(path_, errno);
      if (skipping_) skipped();
      if (got == 0 && begin_ != end_) {  // a last line without a newline
        *end_++ = '\n';
        search_up_to(end_);
      }
      fd_ = descriptor();
      return;
    }

    const auto size = static_cast<std::size_t>(got);
    const bool first = std::exchange(first_piece_, false);
    if (std::memchr(end_, '\0', size) != nullptr ||
        (first && size == largest_piece && has_hole_behind(got))) {
      matches_ = 0;  // as grep has it, although their lines are printed
      fd_ = descriptor();
      return;
    }

    char* fresh = std::exchange(end_, end_ + size);
    if (skipping_) {
      fresh = static_cast<char*>(std::memchr(fresh, '\n', size));
      if (fresh == nullptr) return keep_nothing();
      counted_ = begin_ = whole_ = ++fresh;
      skipped();
    }
    const std::string_view unseen(fresh, static_cast<std::size_t>(end_ - fresh));
    if (const std::size_t newline = unseen.rfind('\n'); newline != unseen.npos)
      search_up_to(fresh + newline + 1);
  }

  void search_up_to(char* end) {
    whole_ = end;
    finder_.start(begin_, whole_);
  }

  void skipped() {
    how_.told.about(path_, "line " + std::to_string(line_) + " is longer than 8 MiB");
    skipping_ = false;
    ++line_;
  }

  bool is_output() const noexcept {
    struct ::stat is{};
    return ::fstat(fd_.get(), &is) == 0 && is.st_dev == how_.output.st_dev && is.st_ino == how_.output.st_ino;
  }

  bool has_hole_behind(off_t piece) const noexcept {
    struct ::stat is{};
    if (::fstat(fd_.get(), &is) != 0 || !S_ISREG(is.st_mode) || is.st_size <= piece) return false;
    const off_t hole = ::lseek(fd_.get(), piece, SEEK_HOLE);
    if (hole >= 0) ::lseek(fd_.get(), piece, SEEK_SET);
    return hole >= 0 && hole < is.st_size;
  }

  const settings& how_;
  finder finder_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;

  // counted_ <= begin_ <= whole_ <= end_, all in the buffer
  char* counted_ = nullptr;  // line_ is the number of the line that begins here
  char* begin_ = nullptr;    // of the first line not searched yet
  char* whole_ = nullptr;    // the end of the last whole line
  char* end_ = nullptr;      // of what was read

  std::string path_;
  std::string prefix_;
  descriptor fd_;
  std::uint64_t line_ = 1;
  std::uint64_t matches_ = 0;  // in this file
  bool first_piece_ = true;
  bool skipping_ = false;  // the rest of a line that is too long
};

}  // namespace search
