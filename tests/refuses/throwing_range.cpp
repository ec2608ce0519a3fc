// expect: millrace: the elements of a range are built in the queue, where nothing may throw: give them away
// SPDX-License-Identifier: BSL-1.0
#include <iterator>
#include <string>
#include <vector>

#include <millrace/millrace.hpp>

int main() {
  millrace::bounded_queue<std::string> q(2);
  std::vector<std::string> words{"a", "b"};
#ifdef MILLRACE_CONTROL
  q.push_range(std::move_iterator(words.begin()), std::move_iterator(words.end())).wait();
#else
  q.push_range(words.begin(), words.end()).wait();
#endif
}
