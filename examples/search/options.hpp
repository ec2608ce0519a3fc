// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <getopt.h>

namespace search {

/// What the command line asks for.
struct options {
  std::string_view pattern;
  std::vector<const char*> paths;
  unsigned jobs = std::clamp(std::thread::hardware_concurrency(), 1u, 64u);
  bool ignore_case = false;
  bool stats = false;
  bool progress = true;
  bool help = false;
};

inline constexpr char usage[] =
    "usage: search [-i] [-j N] [--stats] [--no-progress] PATTERN PATH...\n"
    "Print the lines that contain PATTERN in the files named or found under PATH.\n"
    "\n"
    "  -i             ignore the case of ASCII letters\n"
    "  -j N           read and match in N threads, 1 to 64; as many as the machine has\n"
    "  --stats        tell on standard error what the stages did, and where time went\n"
    "  --no-progress  no progress line on a terminal\n"
    "  -h, --help     print this\n"
    "\n"
    "PATTERN is no regular expression; a newline in it separates alternatives.\n"
    "PATH - is standard input. Links and devices found under a PATH are passed over,\n"
    "and so are binary files.\n"
    "\n"
    "Exit status: 0 a line was printed, 1 none was, 2 there was an error,\n"
    "130 interrupted: once, what was found is printed; twice, it ends at once.\n";

/// Reads the command line. Nothing: it is wrong, and standard error says how.
inline std::optional<options> read_options(int argc, char** argv) {
  enum : int { opt_stats = 256, opt_no_progress };
  static constexpr option long_options[] = {{"stats", no_argument, nullptr, opt_stats},
                                            {"no-progress", no_argument, nullptr, opt_no_progress},
                                            {"help", no_argument, nullptr, 'h'},
                                            {nullptr, 0, nullptr, 0}};
  const auto wrong = [](const std::string& what) -> std::optional<options> {
    std::fprintf(stderr, "search: %s\n%.*s\n", what.c_str(),
                 static_cast<int>(std::strcspn(usage, "\n")), usage);
    return std::nullopt;
  };

  options read;
  opterr = 0;
  for (int found; (found = getopt_long(argc, argv, ":ij:h", long_options, nullptr)) != -1;) {
    switch (found) {
      case 'i':
        read.ignore_case = true;
        break;
      case opt_stats:
        read.stats = true;
        break;
      case opt_no_progress:
        read.progress = false;
        break;
      case 'h':
        read.help = true;
        return read;
      case 'j': {
        const char* const end = optarg + std::strlen(optarg);
        const auto [stop, error] = std::from_chars(optarg, end, read.jobs);
        if (error != std::errc{} || stop != end || read.jobs < 1 || read.jobs > 64)
          return wrong(std::string("-j takes a number from 1 to 64, not ") + optarg);
        break;
      }
      case ':':
        return wrong(std::string("no value after ") + argv[optind - 1]);
      default:
        return wrong("unknown option " + (optopt > 0 && optopt < 256
                                              ? std::string{'-', static_cast<char>(optopt)}
                                              : std::string(argv[optind - 1])));
    }
  }
  if (argc - optind < 2) return wrong(argc == optind ? "no PATTERN and no PATH" : "no PATH");
  read.pattern = argv[optind];
  read.paths.assign(argv + optind + 1, argv + argc);
  return read;
}

}  // namespace search
