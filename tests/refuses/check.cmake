# SPDX-License-Identifier: BSL-1.0
#
# A refusal is a source file that begins with `// expect: some text`. It must not compile, and the first
# error that the compiler prints must have that text; with MILLRACE_CONTROL defined it must compile, so
# that no mere slip of the pen passes for a refusal.
#
#   cmake -D CXX=compiler -D "FLAGS=its flags" -D INCLUDE=folder -D SOURCE=file -P check.cmake

file(STRINGS ${SOURCE} expected LIMIT_COUNT 1 REGEX "^// expect: ")
string(REGEX REPLACE "^// expect: " "" expected "${expected}")
if(expected STREQUAL "")
  message(FATAL_ERROR "${SOURCE}:1: no line `// expect: some text`")
endif()

separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
set(compile ${CXX} -std=c++20 ${FLAGS} -I${INCLUDE} -fsyntax-only)
execute_process(COMMAND ${compile} -DMILLRACE_CONTROL ${SOURCE}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${SOURCE}: the control does not compile\n${output}")
endif()

execute_process(COMMAND ${compile} ${SOURCE}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE}: compiles, but must be refused")
endif()
string(REGEX MATCH "[^\n]*error:[^\n]*" first "${output}")
string(FIND "${first}" "${expected}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${SOURCE}: the first error is without the words `${expected}`\n${output}")
endif()
