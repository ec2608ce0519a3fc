// SPDX-License-Identifier: BSL-1.0
#pragma once

// Durations, time points and clocks: what the library needs of <chrono>. libstdc++ has that in a header of its own;
// its <chrono> adds time zones and what prints them, <sstream> and <ostream> with it: 3,700 lines.

#include <version>

#if defined(_GLIBCXX_RELEASE) && __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif
