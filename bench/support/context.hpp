// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>

namespace bench {

/// For bench/compare, which tells how it measured. Once in each program.
inline bool add_context() {
#ifdef __clang__
  benchmark::AddCustomContext("compiler", "clang " __clang_version__);
#else
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif
  benchmark::AddCustomContext("build", BENCH_BUILD);
  return true;
}

}  // namespace bench
