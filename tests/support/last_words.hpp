// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>

// Where coverage is measured: saves what has been run until then, which else happens at the program's end.
extern "C" __attribute__((weak)) int __llvm_profile_write_file();

namespace support {

/// What `f` wrote to stderr before it aborted, as a failed assertion and std::terminate do; nothing if it did
/// not. `f` runs in a process of its own, where the calling thread is the only one.
template <class F>
std::optional<std::string> last_words(F f) {
  constexpr int aborted = 42;
  int ends[2];
  if (pipe(ends) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    signal(SIGABRT, [](int) {
      if (__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
      _exit(aborted);
    });
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  std::array<char, 512> some;
  for (ssize_t n = 0; (n = read(ends[0], some.data(), some.size())) > 0;) {
    said.append(some.data(), static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != aborted) {
    return std::nullopt;
  }
  return said;
}

}  // namespace support
