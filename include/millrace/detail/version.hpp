// SPDX-License-Identifier: BSL-1.0
#pragma once

// The version, for #if; CMakeLists.txt reads it from here. While the first number is 0, another second number
// means that programs may have to be changed.

#define MILLRACE_VERSION_MAJOR 0
#define MILLRACE_VERSION_MINOR 1
#define MILLRACE_VERSION_PATCH 0

/// 10203 is version 1.2.3.
#define MILLRACE_VERSION \
  (MILLRACE_VERSION_MAJOR * 10000 + MILLRACE_VERSION_MINOR * 100 + MILLRACE_VERSION_PATCH)
