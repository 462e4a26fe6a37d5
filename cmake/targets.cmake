# One CMake target a folder. Unit tests (*_test.cc) sit beside the code and become NAME_test.

# netserv_library(NAME SOURCES a.cc ... [TESTS a_test.cc ...] [DEPS targets...] [TEST_DEPS targets...])
function(netserv_library name)
  cmake_parse_arguments(A "" "" "SOURCES;TESTS;DEPS;TEST_DEPS" ${ARGN})
  if(A_SOURCES)
    add_library(${name} STATIC ${A_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/sdk/include)
    target_link_libraries(${name} PUBLIC ${A_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/sdk/include)
    target_link_libraries(${name} INTERFACE ${A_DEPS})
  endif()
  if(A_TESTS)
    netserv_test(${name}_test SOURCES ${A_TESTS} DEPS ${name} ${A_TEST_DEPS})
  endif()
endfunction()

# netserv_part_of(GROUP TARGET): building GROUP (unit_tests, fuzzers, benchmarks) builds TARGET.
function(netserv_part_of group target)
  if(NOT TARGET ${group})
    add_custom_target(${group})
  endif()
  add_dependencies(${group} ${target})
endfunction()

# netserv_test(NAME SOURCES ... DEPS ... [LABELS ...]): a gtest executable, registered with ctest.
function(netserv_test name)
  if(NOT NETSERV_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE NETSERV_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             NETSERV_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_compile_options(${name} PRIVATE -O0 -U_FORTIFY_SOURCE)  # compiling them takes longer than running them
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${A_LABELS};unit")
  if(NOT "root" IN_LIST A_LABELS)  # those start the real programs
    netserv_part_of(unit_tests ${name})
  endif()
endfunction()

# netserv_program(NAME SOURCES ... DEPS ...): an executable in build/bin.
function(netserv_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ${A_DEPS})
endfunction()

# netserv_fuzzer(NAME SOURCES ... DEPS ...): a libFuzzer target NAME_fuzz; ctest runs its corpus fuzz/corpus/NAME
# once (`fuzz` label), build/bin/NAME_fuzz fuzz/corpus/NAME goes on for as long as one likes. Needs clang, with
# -DNETSERV_FUZZ=ON -DNETSERV_SANITIZE=address,undefined so that the libraries under test are watched too.
function(netserv_fuzzer name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_fuzz ${A_SOURCES})
  target_include_directories(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(${name}_fuzz PRIVATE ${A_DEPS})
  file(GLOB corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name}/*)
  add_test(NAME ${name}_fuzz COMMAND ${name}_fuzz ${corpus})
  set_tests_properties(${name}_fuzz PROPERTIES TIMEOUT 300 LABELS "fuzz")
  netserv_part_of(fuzzers ${name}_fuzz)
endfunction()

# netserv_benchmark(NAME SOURCES ... DEPS ...): a Google Benchmark program in build/bin.
function(netserv_benchmark name)
  find_package(benchmark REQUIRED)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE NETSERV_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${A_DEPS} benchmark::benchmark)
  netserv_part_of(benchmarks ${name})
endfunction()

# netserv_bpf(NAME SOURCE x.bpf.c): compiles a BPF program and makes the libbpf skeleton NAME.skel.h, which
# targets that link NAME may include.
function(netserv_bpf name)
  cmake_parse_arguments(A "" "SOURCE" "" ${ARGN})
  find_program(NETSERV_CLANG NAMES clang-14 clang REQUIRED)
  find_program(NETSERV_BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  file(GLOB headers ${CMAKE_CURRENT_SOURCE_DIR}/*.h ${CMAKE_CURRENT_SOURCE_DIR}/xdp/*.h)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${NETSERV_CLANG} -O2 -g -Wall -target bpf -mcpu=v3 -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${A_SOURCE} -o ${object}
    COMMAND ${NETSERV_BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${A_SOURCE} ${headers} VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_skeleton)
  target_include_directories(${name} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(${name} INTERFACE bpf)
endfunction()
