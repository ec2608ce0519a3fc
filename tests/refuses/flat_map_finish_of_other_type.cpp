// expect: millrace: flat_map(f): f.finish() gives something of another type than f(message)
// SPDX-License-Identifier: BSL-1.0
#include <vector>

#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/queue/bounded_queue.hpp>

struct gather {
  std::vector<int> operator()(int n) { return {n}; }
#ifdef MILLRACE_CONTROL
  std::vector<int> finish() { return {}; }
#else
  std::vector<long> finish() { return {}; }
#endif
};

int main() {
  millrace::bounded_queue<int> q(1);
  auto p = millrace::from(q) | millrace::flat_map(gather()) | millrace::collect();
  static_cast<void>(p);
}
