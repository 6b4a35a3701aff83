# Finds the third-party libraries. Which layer may use which one: CMakeLists.txt.
# All are Debian packages; tools/install_dependencies lists them.

# tf1hub_find_plain(NAME HEADER): the target dep::NAME for a library without a CMake package.
function(tf1hub_find_plain name header)
  find_path(${name}_INCLUDE_DIR "${header}" REQUIRED)
  find_library(${name}_LIBRARY "${name}" REQUIRED)
  mark_as_advanced(${name}_INCLUDE_DIR ${name}_LIBRARY)
  add_library(dep::${name} UNKNOWN IMPORTED)
  set_target_properties(dep::${name} PROPERTIES
    IMPORTED_LOCATION "${${name}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${name}_INCLUDE_DIR}")
endfunction()

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)

# format
find_package(Protobuf REQUIRED)
find_package(Snappy REQUIRED)
tf1hub_find_plain(isal isa-l.h)

# resolve. libcurl and libarchive are loaded when something is downloaded or unpacked
# (src/resolve/shared_library.h): only their headers are needed here.
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
add_library(tf1hub_curl_headers INTERFACE)
target_include_directories(tf1hub_curl_headers SYSTEM INTERFACE ${CURL_INCLUDE_DIRS})
add_library(dep::curl_headers ALIAS tf1hub_curl_headers)
add_library(tf1hub_archive_headers INTERFACE)
target_include_directories(tf1hub_archive_headers SYSTEM INTERFACE ${LibArchive_INCLUDE_DIRS})
add_library(dep::archive_headers ALIAS tf1hub_archive_headers)
tf1hub_find_plain(nettle nettle/sha2.h)

# ops
find_package(dnnl REQUIRED)
add_library(dnnl::dnnl ALIAS DNNL::dnnl)
tf1hub_find_plain(hwy hwy/highway.h)
target_compile_definitions(dep::hwy INTERFACE HWY_SHARED_DEFINE)
tf1hub_find_plain(re2 re2/re2.h)
tf1hub_find_plain(farmhash farmhash.h)
tf1hub_find_plain(utf8proc utf8proc.h)
find_package(ICU REQUIRED COMPONENTS i18n uc data)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(GIF REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
# The OpenMP runtime that oneDNN uses: only for omp_set_num_threads, without -fopenmp.
# The compiler driver knows where it is.
add_library(tf1hub_gomp INTERFACE)
target_link_libraries(tf1hub_gomp INTERFACE gomp)
add_library(dep::gomp ALIAS tf1hub_gomp)

# apps
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
