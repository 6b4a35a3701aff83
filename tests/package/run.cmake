# Installs BUILD_DIR into a fresh prefix, looks at what the library shows, and builds and
# runs the program of SOURCE_DIR against it.

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(status)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}\nfailed (${status}):\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

set(work "${BUILD_DIR}/package")
file(REMOVE_RECURSE "${work}")
run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${work}/prefix")

# Only names of namespace hub (and the version script's own) may be visible.
file(GLOB_RECURSE library "${work}/prefix/*/libtf1hub.so.0")
run("${NM}" -D --defined-only "${library}")
string(REGEX REPLACE "\n$" "" out "${out}")
string(REPLACE "\n" ";" lines "${out}")
foreach(line IN LISTS lines)
  if(NOT line MATCHES " _Z(N|NK|TIN|TSN|TVN|TTN)3hub[A-Z0-9a-z_]+$")
    message(FATAL_ERROR "libtf1hub.so shows a name outside namespace hub: ${line}")
  endif()
endforeach()

run("${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${work}/build" -DCMAKE_BUILD_TYPE=Release
    "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}" "-DCMAKE_PREFIX_PATH=${work}/prefix")
run("${CMAKE_COMMAND}" --build "${work}/build")
run("${work}/build/user")
message("${out}")
