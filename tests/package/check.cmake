# SPDX-License-Identifier: BSL-1.0
#
# Builds and runs one consumer in an empty folder, with no flags of ours.
#
#   cmake -D WAY=add_subdirectory|find_package|pkg_config|copy -D CXX=compiler -D GENERATOR=name
#         -D VERSION=of millrace -D PKG_CONFIG=program -D SOURCE=repository -D BUILD=its build folder -D WORK=scratch folder -P check.cmake

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(READ ${SOURCE}/.packaging/vcpkg/millrace/vcpkg.json port)
string(JSON port GET "${port}" version)
if(NOT port STREQUAL VERSION)
  message(FATAL_ERROR ".packaging/vcpkg/millrace/vcpkg.json is of version ${port}, millrace of ${VERSION}")
endif()

unset(ENV{CXXFLAGS})
unset(ENV{LDFLAGS})
file(REMOVE_RECURSE ${WORK})
if(WAY MATCHES "find_package|pkg_config")
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
  file(GLOB_RECURSE ours RELATIVE ${SOURCE}/include ${SOURCE}/include/*)
  file(GLOB_RECURSE installed RELATIVE ${WORK}/prefix/include ${WORK}/prefix/include/*)
  if(NOT ours STREQUAL installed)
    message(FATAL_ERROR "installed headers differ\nours: ${ours}\ninstalled: ${installed}")
  endif()
endif()

if(WAY STREQUAL pkg_config)
  file(RENAME ${WORK}/prefix ${WORK}/moved)
  set(ENV{PKG_CONFIG_PATH} ${WORK}/moved/share/pkgconfig)
  execute_process(COMMAND ${PKG_CONFIG} --cflags --libs "millrace >= 0.1" "millrace < 0.2"
    OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
elseif(WAY STREQUAL copy)
  file(COPY ${SOURCE}/include/millrace DESTINATION ${WORK})
  set(flags "-I${WORK} -pthread")
endif()
if(DEFINED flags)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${CXX} -std=c++20 ${SOURCE}/tests/package/main.cpp ${flags} -o ${WORK}/consumer)
  run(${WORK}/consumer)
  return()
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
