// SPDX-License-Identifier: BSL-1.0
//
// search: grep -rnF as a pipeline of three stages and two queues.
//
//   walk ---files---> match, once for each thread ---found---> print
//
// The walk and the matchers are coroutines on one pool: where their queue is full or empty they
// wait, and the thread does something else. The printer is the main thread, which may well block in
// write(). The queues are bounded, and so is memory, however large the tree and slow the terminal.
// A queue closes when the last end on one side of it is gone; so the stages end one after the other
// when the walk is done, and when one of them fails.

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <utility>

#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

#include <millrace/millrace.hpp>

#include "file.hpp"
#include "options.hpp"
#include "pattern.hpp"
#include "permits.hpp"
#include "report.hpp"
#include "scan.hpp"
#include "stats.hpp"
#include "walk.hpp"

namespace search {
namespace {

constexpr std::size_t files_limit = 256;
constexpr std::size_t found_limit = 16;
constexpr std::size_t long_text = 256 * 1024;  // bytes

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

/// What the stages share besides the queues.
struct session {
  explicit session(const options& its_options)
      : asked(its_options),
        told(asked.progress),
        what(asked.pattern, asked.ignore_case),
        how(what, told, asked.paths) {}

  const options& asked;
  report told;
  const pattern what;
  const scanner::settings how;
  stage_total walked, searched, printed;

  // All relaxed: nothing travels with them, and join() comes before their last reading.
  std::atomic<std::uint64_t> files_searched = 0;
  std::atomic<bool> matched = false;
  std::atomic<bool> output_failed = false;

  // A queue bounds the number of its messages. These bound the few that can be large.
  permits long_paths{16};  // on their way to the matchers
  permits long_lines{1};   // being read
  permits long_texts{1};   // on their way to the printer
};

/// Finds the files.
millrace::task<> walk(session& s, millrace::producer<file> files, millrace::producer<lines> found) {
  stopwatch watch(s.asked.stats, s.walked);
  walker tree(s.asked.paths, s.told);
  while (!interrupted.load(std::memory_order_relaxed) &&
         !s.output_failed.load(std::memory_order_relaxed)) {
    watch.begin();
    auto next = tree.next();
    if (!next) break;
    watch.pause();
    if (next->path.size() >= PATH_MAX) next->held = co_await s.long_paths.take();
    watch.send(*next, files);
    const auto pushed = co_await files.push(*std::move(next));
    if (!pushed) break;  // the matchers failed
    watch.done();
    if (s.told.progress_due()) (void)found.try_push(lines(""));
  }
}

/// Hands over what was gathered so far.
millrace::task<> send(session& s, lines& gathered, const millrace::producer<lines>& found,
                      stopwatch& watch) {
  watch.pause();
  if (gathered.text.size() > long_text) gathered.held = co_await s.long_texts.take();
  watch.send(gathered, found);
  (void)co_await found.push(std::move(gathered));
  gathered.text.clear();
  watch.resume();
}

/// Reads files and gathers their lines that match.
millrace::task<> match(session& s, millrace::consumer<file> files,
                       millrace::producer<lines> found) {
  stopwatch watch(s.asked.stats, s.searched);
  scanner scan(s.how);
  lines gathered("");
  permit long_lines;
  while (auto next = co_await files.pop()) {
    watch.begin(*next);
    scan.open(*std::move(next));
    for (;;) {
      const scanner::step step = scan.next(gathered.text);
      if (step == scanner::step::end) break;
      if (step == scanner::step::text) {
        co_await send(s, gathered, found, watch);
      } else {
        watch.pause();
        long_lines = co_await s.long_lines.take();
        watch.resume();
        scan.allow_long_lines();
      }
    }
    if (long_lines) {
      scan.give_memory_back();
      long_lines.reset();
    }
    watch.pause();
    watch.done();
    s.files_searched.fetch_add(1, std::memory_order_relaxed);
  }
  if (!gathered.text.empty()) co_await send(s, gathered, found, watch);
  if (scan.matched()) s.matched.store(true, std::memory_order_relaxed);
}

/// Prints what was found, and on a terminal how far the search is.
void print(session& s, millrace::consumer<lines> found) {
  stopwatch watch(s.asked.stats, s.printed);
  while (auto next = found.pop().wait()) {
    if (next->text.empty()) {
      s.told.show_progress(s.files_searched.load(std::memory_order_relaxed));
      continue;
    }
    if (s.output_failed.load(std::memory_order_relaxed)) continue;
    watch.begin(*next);
    s.told.hide_progress();
    if (const int error = write_all(STDOUT_FILENO, next->text); error != 0) {
      s.told.about("write error", error);
      s.output_failed.store(true, std::memory_order_relaxed);
    }
    watch.pause();
    watch.done();
  }
  s.told.hide_progress();
}

int run(const options& asked) {
  const time_point begin = steady::now();
  session s(asked);
  auto files = millrace::make_channel<file>(files_limit);
  auto found = millrace::make_channel<lines>(found_limit);
  millrace::thread_pool pool(asked.jobs);
  millrace::scope stages;

  for (unsigned i = 1; i < asked.jobs; ++i) stages.spawn(pool, match(s, files.rx, found.tx));
  stages.spawn(pool, match(s, std::move(files.rx), found.tx));
  stages.spawn(pool, walk(s, std::move(files.tx), std::move(found.tx)));
  print(s, std::move(found.rx));
  stages.join().wait();  // throws what a stage threw

  if (asked.stats) {
    print_stats({{"walk", s.walked},
                 {"match", s.searched, &s.walked, files_limit},
                 {"print", s.printed, &s.searched, found_limit}},
                steady::now() - begin);
  }
  if (interrupted.load()) return 130;
  if (s.told.failed()) return 2;
  return s.matched.load() ? 0 : 1;
}

}  // namespace
}  // namespace search

int main(int argc, char** argv) {
  const auto asked = search::read_options(argc, argv);
  if (!asked) return 2;
  if (asked->help) return search::write_all(STDOUT_FILENO, search::usage) == 0 ? 0 : 2;

  struct sigaction on_interrupt {};
  on_interrupt.sa_handler = [](int) { search::interrupted.store(true, std::memory_order_relaxed); };
  on_interrupt.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);  // the second one kills
  ::sigaction(SIGINT, &on_interrupt, nullptr);

#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, search::long_text);  // what a long line took goes back at once
#endif
  try {
    return search::run(*asked);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "search: %s\n", failure.what());
    return 2;
  }
}
