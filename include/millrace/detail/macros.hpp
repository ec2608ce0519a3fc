// SPDX-License-Identifier: BSL-1.0
#pragma once

// What C++20 cannot say: which function is the fast path, and which must stay out of it.

#if defined(_MSC_VER) && !defined(__clang__)
#define MILLRACE_ALWAYS_INLINE __forceinline
#define MILLRACE_NOINLINE __declspec(noinline)
#else
#define MILLRACE_ALWAYS_INLINE [[gnu::always_inline]] inline
#define MILLRACE_NOINLINE [[gnu::noinline]]
#endif
