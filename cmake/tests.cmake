# Tests, fuzz targets, benchmarks and examples.

find_package(GTest REQUIRED)
include(GoogleTest)

unset(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
get_property(layers GLOBAL PROPERTY tf1hub_layers)

# Helpers for tests of ops and of everything to their right.
file(GLOB support_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/support/*.cpp")
if(support_sources)
  add_library(tf1hub_test_support STATIC ${support_sources})
  target_link_libraries(tf1hub_test_support
    PUBLIC tf1hub_replay GTest::gtest GTest::gmock PRIVATE tf1hub_warnings)
  target_include_directories(tf1hub_test_support PUBLIC "${CMAKE_SOURCE_DIR}/tests")
  target_compile_definitions(tf1hub_test_support
    PRIVATE TF1HUB_TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data")
else()
  add_library(tf1hub_test_support INTERFACE)
  target_link_libraries(tf1hub_test_support INTERFACE tf1hub_internal)
endif()

include(cmake/replay_tests.cmake)

# tf1hub_add_test(NAME LIBRARY SOURCES...): a googletest program, each of its tests a CTest.
function(tf1hub_add_test name library)
  if(NOT ARGN)
    return()
  endif()
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE ${library} tf1hub_warnings GTest::gtest_main GTest::gmock)
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  target_compile_definitions(${name} PRIVATE
    TF1HUB_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    TF1HUB_TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data"
    TF1HUB_SHARED_DIR="${TF1HUB_SHARED_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60)
endfunction()

set_source_files_properties("${CMAKE_SOURCE_DIR}/src/module/text_test.cpp" PROPERTIES
  COMPILE_DEFINITIONS "TF1HUB_LARGE_DIR=\"${TF1HUB_LARGE_DIR}\"")

# One program a layer. Tests left of ops link their own layer and nothing to its right.
set(layer_library_is_enough base tensor format resolve graph)
foreach(layer IN LISTS layers)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${layer}/*_test.cpp")
  if(layer IN_LIST layer_library_is_enough)
    tf1hub_add_test(tf1hub_${layer}_test tf1hub_${layer} ${sources})
  else()
    tf1hub_add_test(tf1hub_${layer}_test tf1hub_test_support ${sources})
  endif()
  if(TARGET tf1hub_${layer}_proto AND TARGET tf1hub_${layer}_test)
    target_link_libraries(tf1hub_${layer}_test PRIVATE tf1hub_${layer}_proto)
  endif()
endforeach()
file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/apps/*_test.cpp")
tf1hub_add_test(tf1hub_apps_test "tf1hub_test_support;tf1hub_apps_common" ${sources})
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/*_test.cpp")
tf1hub_add_test(tf1hub_tests tf1hub_test_support ${sources})
if(TARGET tf1hub_tests)
  list(JOIN TF1HUB_REPLAYED_FAMILIES "," families)
  target_compile_definitions(tf1hub_tests PRIVATE TF1HUB_REPLAYED_FAMILIES="${families}")
endif()
if(TARGET tf1hub_tests AND TARGET tf1hub_cli)
  add_dependencies(tf1hub_tests tf1hub_cli)
  target_compile_definitions(tf1hub_tests PRIVATE TF1HUB_CLI="$<TARGET_FILE:tf1hub_cli>")
endif()

# Fuzz targets. Without TF1HUB_FUZZ each one replays its seeds, as a test.
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp")
add_custom_target(fuzzers)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" seeds "${name}")
  if(TF1HUB_FUZZ)
    add_executable(${name} "${source}")
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  else()
    add_executable(${name} "${source}" "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_seeds.cpp")
    add_test(NAME fuzz_seeds.${seeds}
             COMMAND ${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${seeds}")
  endif()
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE tf1hub_internal tf1hub_warnings)
  add_dependencies(fuzzers ${name})
endforeach()

# Benchmarks.
if(TF1HUB_BENCHMARKS)
  find_package(benchmark REQUIRED)
  file(GLOB bench_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/benchmarks/*_bench.cpp")
  foreach(source IN LISTS bench_sources)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${source}")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/benchmarks")
    target_compile_definitions(${name} PRIVATE TF1HUB_TEST_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data")
    target_link_libraries(${name} PRIVATE
      tf1hub_internal tf1hub_warnings benchmark::benchmark benchmark::benchmark_main)
  endforeach()
endif()

# Examples see only what users see: the shared library and include/hub.
file(GLOB example_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/examples/*.cpp")
foreach(source IN LISTS example_sources)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(example_${name} "${source}")
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/examples")
  target_link_libraries(example_${name} PRIVATE tf1hub::tf1hub tf1hub_warnings)
  add_test(NAME example.${name} COMMAND example_${name}
           WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}/examples")
endforeach()
if(TARGET example_classify_digits)
  target_link_libraries(example_classify_digits PRIVATE PNG::PNG)
  # As many as with TensorFlow (examples/data/facts.json).
  set_tests_properties(example.classify_digits PROPERTIES
                       PASS_REGULAR_EXPRESSION "582 of 597 pictures")
endif()

set_property(TEST example.use_module PROPERTY PASS_REGULAR_EXPRESSION
  "variables: 1\nthe first answer is the better one\n")
set_property(TEST example.named_signature PROPERTY PASS_REGULAR_EXPRESSION
  "input apples: float32 \\[\\?,3\\]\ninput oranges: int64 \\[\\?\\]\ncats: -1.01056 -2.07693\ndogs: 1 0 0 0 0 0 1 0\n")
set_property(TEST example.create_module PROPERTY PASS_REGULAR_EXPRESSION
  "loaded again, \\[2,100\\]: the same numbers\n")

# Rules that hold for the sources as text.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME check_layers
         COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tools/check_layers.py")

# The C++ in the guides compiles.
foreach(page IN ITEMS using-modules composing-modules creating-modules hosting-modules
        caching training)
  add_test(NAME docs.snippets.${page}
           COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tools/compile_snippets.py"
                   "${CMAKE_CXX_COMPILER}" "${CMAKE_SOURCE_DIR}/include"
                   "${CMAKE_SOURCE_DIR}/docs/${page}.md")
endforeach()

# The page of ops says what the tables say.
add_test(NAME docs.ops COMMAND tf1hub-opsdoc "${CMAKE_SOURCE_DIR}/tests/data"
         "${CMAKE_SOURCE_DIR}/docs/ops.md" --check)

# The library shows only its own names, and shares a process with TensorFlow.
if(TF1HUB_SANITIZE STREQUAL "none")
  add_test(NAME library_symbols
           COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tests/library_symbols.py"
                   $<TARGET_FILE:tf1hub>)
  add_library(tf1hub_probe MODULE "${CMAKE_SOURCE_DIR}/tests/tensorflow/probe.cpp")
  target_link_libraries(tf1hub_probe PRIVATE tf1hub::tf1hub tf1hub_warnings)
  set(tensorflow_python "$ENV{TF1HUB_TENSORFLOW_PYTHON}")
  if(NOT tensorflow_python)
    set(tensorflow_python Python3::Interpreter)  # says that it has no TensorFlow
  endif()
  foreach(first tensorflow tf1hub)
    add_test(NAME one_process.${first}_first
             COMMAND ${tensorflow_python} "${CMAKE_SOURCE_DIR}/tests/tensorflow/one_process.py"
                     $<TARGET_FILE:tf1hub_probe>
                     "${CMAKE_SOURCE_DIR}/tests/data/zoo/half_plus_two/module" ${first})
    set_tests_properties(one_process.${first}_first PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
  add_test(NAME round_trip
           COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tests/tensorflow/round_trip.py"
                   $<TARGET_FILE:tf1hub_cli> "${CMAKE_SOURCE_DIR}/tests/data/zoo"
                   "${CMAKE_SOURCE_DIR}/tools/oracle")
  set_tests_properties(round_trip PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800)
endif()

# Each public header compiles alone, with nothing but include/ on the path.
file(GLOB public_headers CONFIGURE_DEPENDS RELATIVE "${CMAKE_SOURCE_DIR}/include"
     "${CMAKE_SOURCE_DIR}/include/hub/*.h")
foreach(header IN LISTS public_headers)
  get_filename_component(name "${header}" NAME_WE)
  set(file "${CMAKE_BINARY_DIR}/headers/${name}.cpp")
  file(CONFIGURE OUTPUT "${file}" CONTENT "#include <${header}>\n#include <${header}>\n")
  add_test(NAME public_header.${name}
           COMMAND "${CMAKE_CXX_COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror
                   -I "${CMAKE_SOURCE_DIR}/include" "${file}")
endforeach()

# Installed, the library serves a program outside this tree.
if(TF1HUB_SANITIZE STREQUAL "none" AND NOT TF1HUB_FUZZ AND NOT TF1HUB_COVERAGE)
  add_test(NAME package
           COMMAND "${CMAKE_COMMAND}" -DBUILD_DIR=${CMAKE_BINARY_DIR}
                   -DSOURCE_DIR=${CMAKE_SOURCE_DIR}/tests/package
                   -DCXX_COMPILER=${CMAKE_CXX_COMPILER} -DNM=${CMAKE_NM}
                   -P "${CMAKE_SOURCE_DIR}/tests/package/run.cmake")
endif()
