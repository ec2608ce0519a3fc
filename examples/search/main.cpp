// SPDX-License-Identifier: BSL-1.0
//
// search: grep -rnF as a pipeline of three stages.
//
//   walk ---files---> match, in several threads ---lines---> print
//
// Walk and match are a pipeline on a pool: where their queue is full or empty they wait, and the thread
// does something else. The printer is the main thread, which may well block in write(). The queues are
// bounded, and so is memory, however large the tree and slow the terminal. When the walk ends, the others
// do, one after the other; where one fails, all do.

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <millrace/millrace.hpp>
#include <millrace/pipeline/report.hpp>

#include "file.hpp"
#include "memory.hpp"
#include "options.hpp"
#include "pattern.hpp"
#include "report.hpp"
#include "scan.hpp"
#include "walk.hpp"

namespace search {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

/// From the matchers to the printer: whole lines.
struct lines {
  std::string text;
  std::unique_ptr<scanner> rest;  // of a file that has a long line next
};

/// Reads files, one at a time, and gathers their lines that match. A copy has a buffer of its own.
class matcher {
  struct giver {
    std::optional<lines> operator()() const { return from->next(); }
    matcher* from;
  };

 public:
  explicit matcher(const scanner::settings& how) noexcept : how_(how) {}
  matcher(const matcher& other) noexcept : matcher(other.how_) {}
  matcher(matcher&&) noexcept = default;

  giver operator()(file& next) {
    if (!scan_) scan_ = std::make_unique<scanner>(how_);
    scan_->open(std::move(next));
    return {this};
  }
  giver finish() {
    is_last_ = true;
    return {this};
  }

 private:
  /// Lines, once they are enough.
  std::optional<lines> next() {
    const auto step = scan_ ? scan_->next(gathered_.text) : scanner::step::end;
    if (step == scanner::step::long_line) gathered_.rest = std::move(scan_);
    if (step == scanner::step::end && (!is_last_ || gathered_.text.empty())) return std::nullopt;
    return std::exchange(gathered_, {});
  }

  const scanner::settings& how_;
  std::unique_ptr<scanner> scan_;
  lines gathered_;
  bool is_last_ = false;
};

/// Long lines are read here: so one is in memory at a time.
void print(lines& found, report& to) {
  to.print(found.text);
  if (!found.rest) return;
  found.rest->allow_long_lines();
  for (auto step = scanner::step::text; step != scanner::step::end; to.print(found.text)) {
    found.text.clear();
    step = found.rest->next(found.text);
  }
}

void print_stats(millrace::pipeline_stats stats) {
  stats.stages.front().name = "walk";
  stats.stages.back().name = "print";
  std::fprintf(stderr, "%s%s\npeak memory %.1f MiB\n", table(stats).c_str(), bottleneck(stats).c_str(),
               static_cast<double>(peak_memory()) / 1024);
}

int run(const options& asked) {
  using namespace millrace;
  report told(asked.progress);
  const pattern what(asked.pattern, asked.ignore_case);
  std::atomic<bool> matched = false;
  const scanner::settings how(what, told, matched, asked.paths);
  walker tree(asked.paths, told);

  thread_pool pool(asked.jobs);
  auto found = make_channel<lines>(16);
  const auto walk = [&] { return interrupted.load(std::memory_order_relaxed) ? std::nullopt : tree.next(); };
  auto searching =
      start(pool,
            from(walk) | flat_map(matcher(how), {.workers = asked.jobs, .capacity = 256, .name = "match"}) |
                into(std::move(found.tx)),
            run_options{.sample_every = asked.stats ? 1u : 0u});
  try {
    for (;;) {
      auto next = found.rx.pop().until(told.progress_due()).wait();
      if (next) print(*next, told);
      if (next.status() == op_status::closed) break;
      told.show_progress([&] { return searching.stats().stages[1].in; });
    }
    told.hide_progress();
  } catch (const std::system_error& failure) {
    told.about("write error", failure.code().value());
    searching.stop();
  }
  searching.wait();

  if (asked.stats) print_stats(searching.stats());
  if (interrupted.load()) return 130;
  if (told.failed()) return 2;
  return matched.load() ? 0 : 1;
}

}  // namespace
}  // namespace search

int main(int argc, char** argv) {
  const auto asked = search::read_options(argc, argv);
  if (!asked) return 2;
  if (asked->help) return search::write_all(STDOUT_FILENO, search::usage) == 0 ? 0 : 2;

  struct sigaction on_interrupt{};
  on_interrupt.sa_handler = [](int) { search::interrupted.store(true, std::memory_order_relaxed); };
  on_interrupt.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);  // the second one kills
  ::sigaction(SIGINT, &on_interrupt, nullptr);

#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);  // what a long line took goes back at once
#endif
  try {
    return search::run(*asked);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "search: %s\n", failure.what());
    return 2;
  }
}
