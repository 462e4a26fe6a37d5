# Build switches. The Makefile sets them; a developer rarely needs to.
option(NETSERV_TESTS "Build unit tests" ON)
option(NETSERV_FUZZ "Build libFuzzer targets (needs clang)" OFF)
option(NETSERV_BENCH "Build benchmarks" OFF)
set(NETSERV_SANITIZE "" CACHE STRING "Sanitizers for host code, e.g. address,undefined")

option(NETSERV_COVERAGE "Count which lines run (needs clang)" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# -g1 keeps line numbers in traces while linking and caching stay cheap. Less optimisation where compiling costs more
# than running: the demo, the unit tests under sanitizers.
set(NETSERV_OPTIMISE "-O2 -g1" CACHE STRING "Optimisation and debug flags of host code")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${NETSERV_OPTIMISE}")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "${NETSERV_OPTIMISE}")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
if(NETSERV_TESTS)
  find_package(GTest REQUIRED)
endif()
add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wnon-virtual-dtor $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
                    -fstack-protector-strong -fno-strict-aliasing)
# Reported or not depending on the optimiser's mood in std headers of g++ 12; no use to us.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized> $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# Sources compiled as one look like headers to this warning.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
if(NETSERV_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
if(NETSERV_SANITIZE)
  add_compile_options(-fsanitize=${NETSERV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NETSERV_SANITIZE})
else()
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
