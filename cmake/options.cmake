# Build options and the flags that they mean for every target.

option(TF1HUB_WERROR "Warnings are errors" ON)
option(TF1HUB_COVERAGE "Record test coverage" OFF)
option(TF1HUB_FUZZ "Build the fuzz targets (needs Clang)" OFF)
option(TF1HUB_BENCHMARKS "Build the benchmarks (needs Google Benchmark)" OFF)
set(TF1HUB_SANITIZE "none" CACHE STRING "none, address (with undefined) or thread")
set_property(CACHE TF1HUB_SANITIZE PROPERTY STRINGS none address thread)
set(TF1HUB_SHARED_DIR "${CMAKE_SOURCE_DIR}/../shared" CACHE PATH
    "Where tests look for other people's models; tests that need it skip when it is absent")
set(TF1HUB_LARGE_DIR "${CMAKE_SOURCE_DIR}/../large" CACHE PATH
    "Where tests look for modules that are too large to keep; they skip when it is absent")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(default_arch "x86-64-v3")
else()
  set(default_arch "")
endif()
set(TF1HUB_ARCH "${default_arch}" CACHE STRING "Value of -march; empty: the compiler's default")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE}")
endif()

# A float expression gives the same bits in every function that holds it:
# no contraction into fused multiply-adds.
add_compile_options(-ffp-contract=off -fno-math-errno)
add_link_options(-Wl,--as-needed)
if(TF1HUB_ARCH)
  add_compile_options(-march=${TF1HUB_ARCH})
endif()

if(TF1HUB_SANITIZE STREQUAL "address")
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(TF1HUB_SANITIZE STREQUAL "thread")
  set(sanitizers -fsanitize=thread -fno-omit-frame-pointer)
elseif(TF1HUB_SANITIZE STREQUAL "none")
  set(sanitizers)
else()
  message(FATAL_ERROR "TF1HUB_SANITIZE must be none, address or thread, not \"${TF1HUB_SANITIZE}\"")
endif()
if(TF1HUB_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TF1HUB_FUZZ needs Clang: use the preset fuzz")
  endif()
  set(sanitizers -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
                 -fno-omit-frame-pointer)
endif()
if(TF1HUB_COVERAGE)
  list(APPEND sanitizers --coverage)
endif()
add_compile_options(${sanitizers})
add_link_options(${sanitizers})

# Warnings for our own code (not for what protoc generates). A table entry names only
# the fields that it sets, so missing initialisers are no mistake. A loop that may be vectorised
# (pragma omp simd) need not be.
add_library(tf1hub_warnings INTERFACE)
target_compile_options(tf1hub_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety;-Wno-pass-failed>
  $<$<BOOL:${TF1HUB_WERROR}>:-Werror>)
