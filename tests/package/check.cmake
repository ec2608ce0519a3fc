# SPDX-License-Identifier: BSL-1.0
#
# Builds and runs one consumer in an empty folder, with no flags of ours.
#
#   cmake -D WAY=add_subdirectory|find_package -D CXX=compiler -D GENERATOR=name
#         -D SOURCE=repository -D BUILD=its build folder -D WORK=scratch folder -P check.cmake

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

unset(ENV{CXXFLAGS})
unset(ENV{LDFLAGS})
file(REMOVE_RECURSE ${WORK})
if(WAY STREQUAL find_package)
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
  file(GLOB_RECURSE ours RELATIVE ${SOURCE}/include ${SOURCE}/include/*)
  file(GLOB_RECURSE installed RELATIVE ${WORK}/prefix/include ${WORK}/prefix/include/*)
  if(NOT ours STREQUAL installed)
    message(FATAL_ERROR "installed headers differ\nours: ${ours}\ninstalled: ${installed}")
  endif()
endif()

run(${CMAKE_COMMAND} -S ${SOURCE}/tests/package/${WAY} -B ${WORK}/build -G ${GENERATOR}
  -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_PREFIX_PATH=${WORK}/prefix
  -D CMAKE_EXPORT_COMPILE_COMMANDS=ON)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_COMMAND} -E chdir ${WORK}/build ./consumer)

file(READ ${WORK}/build/compile_commands.json commands)
if(commands MATCHES " -W| -fsanitize| -stdlib| -O")
  message(FATAL_ERROR "a flag of ours reached the consumer\n${commands}")
endif()
