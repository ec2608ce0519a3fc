// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/pages.hpp>

#include <algorithm>
#include <cstddef>
#include <new>

#include "support/catch.hpp"

namespace {

using millrace::detail::discard_pages;

#if defined(__linux__)
constexpr bool gives_back = true;
const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
#else
constexpr bool gives_back = false;
const std::size_t page = 4096;
#endif

/// Six pages full of ones.
class pages {
 public:
  pages() : bytes_(static_cast<unsigned char*>(::operator new(size(), std::align_val_t{page}))) {
    std::fill(bytes_, bytes_ + size(), static_cast<unsigned char>(1));
  }
  pages(const pages&) = delete;
  pages& operator=(const pages&) = delete;
  ~pages() { ::operator delete(bytes_, std::align_val_t{page}); }

  unsigned char* at(std::size_t n) { return bytes_ + n; }

  /// Whether all from page `from` up to page `to` is as it was written.
  bool kept(std::size_t from, std::size_t to) const { return all_are(1, from, to); }
  /// Whether it is gone, or as it was where nothing can be given back.
  bool given_back(std::size_t from, std::size_t to) const { return all_are(gives_back ? 0 : 1, from, to); }

 private:
  static std::size_t size() { return 6 * page; }
  bool all_are(int value, std::size_t from, std::size_t to) const {
    return std::all_of(bytes_ + from * page, bytes_ + to * page, [=](int byte) { return byte == value; });
  }
  unsigned char* bytes_;
};

}  // namespace

TEST_CASE("discarded pages are gone, their neighbours are not") {
  pages memory;
  discard_pages(memory.at(page), 3 * page);
  CHECK(memory.kept(0, 1));
  CHECK(memory.given_back(1, 4));
  CHECK(memory.kept(4, 6));
}

TEST_CASE("only whole pages are discarded") {
  pages memory;
  discard_pages(memory.at(page + 1), 3 * page);  // all but the first and the last byte of pages 2 and 3
  CHECK(memory.kept(0, 2));
  CHECK(memory.given_back(2, 4));
  CHECK(memory.kept(4, 6));
}

TEST_CASE("less than a page is not discarded") {
  pages memory;
  discard_pages(memory.at(page), 0);
  discard_pages(memory.at(page), page - 1);
  discard_pages(memory.at(page + 1), page - 1);
  discard_pages(memory.at(page / 2), page);
  discard_pages(memory.at(page + 1), 2 * page - 2);
  CHECK(memory.kept(0, 6));
}

TEST_CASE("discarded memory can be written again") {
  pages memory;
  discard_pages(memory.at(0), 6 * page);
  CHECK(memory.given_back(0, 6));
  std::fill(memory.at(0), memory.at(6 * page), static_cast<unsigned char>(1));
  CHECK(memory.kept(0, 6));
}
