// expect: wrap references in std::reference_wrapper
// SPDX-License-Identifier: BSL-1.0
#include <functional>

#include <millrace/millrace.hpp>

#ifdef MILLRACE_CONTROL
using message = std::reference_wrapper<int>;
#else
using message = int&;
#endif

int main() { millrace::detail::ring_core<message, millrace::default_traits> ring(1); }
