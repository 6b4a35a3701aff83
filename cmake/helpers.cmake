# tf1hub_glob(OUT DIR): the sources of a folder and those below it: no tests, fuzzers, benchmarks.
function(tf1hub_glob out dir)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS "${dir}/*.cpp")
  list(FILTER found EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

# tf1hub_add_protos(TARGET ROOT FOLDER): compiles FOLDER/*.proto into a library. Imports and
# includes are spelled from ROOT: with ROOT src, `import "format/proto/types.proto"` and
# `#include "format/proto/types.pb.h"`. Defines nothing if there is no such file.
function(tf1hub_add_protos target root folder)
  file(GLOB protos CONFIGURE_DEPENDS "${folder}/*.proto")
  if(NOT protos)
    return()
  endif()
  set(out "${CMAKE_BINARY_DIR}/generated/${target}")
  file(MAKE_DIRECTORY "${out}")
  set(generated)
  foreach(proto IN LISTS protos)
    file(RELATIVE_PATH name "${root}" "${proto}")
    string(REGEX REPLACE "\\.proto$" "" stem "${name}")
    add_custom_command(
      OUTPUT "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h"
      COMMAND protobuf::protoc -I "${root}" "--cpp_out=${out}" "${proto}"
      DEPENDS ${protos}
      COMMENT "protoc ${name}"
      VERBATIM)
    list(APPEND generated "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
  endforeach()
  add_library(${target} STATIC ${generated})
  target_compile_options(${target} PRIVATE -w)
  target_include_directories(${target} SYSTEM PUBLIC "${out}")
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
  # Under this macro protobuf's map_field.h adds members that the system's library lacks.
  if(TF1HUB_SANITIZE STREQUAL "thread")
    target_compile_options(${target} PUBLIC -U__SANITIZE_THREAD__)
  endif()
endfunction()

# tf1hub_add_layer(NAME THIRD_PARTY...): the library tf1hub_NAME from src/NAME, linking the
# layers added before it. A folder without sources gives an empty layer.
function(tf1hub_add_layer name)
  get_property(left GLOBAL PROPERTY tf1hub_layers)
  set(left_targets ${left})
  list(TRANSFORM left_targets PREPEND tf1hub_)
  list(REVERSE left_targets)

  tf1hub_add_protos(tf1hub_${name}_proto "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/src/${name}/proto")

  tf1hub_glob(sources "${CMAKE_SOURCE_DIR}/src/${name}")
  if(sources)
    add_library(tf1hub_${name} STATIC ${sources})
    target_include_directories(tf1hub_${name} PUBLIC "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src")
    target_link_libraries(tf1hub_${name} PUBLIC ${left_targets} PRIVATE tf1hub_warnings)
    target_link_libraries(tf1hub_${name} PRIVATE ${ARGN})
    if(TARGET tf1hub_${name}_proto)
      target_link_libraries(tf1hub_${name} PRIVATE tf1hub_${name}_proto)
    endif()
  else()
    add_library(tf1hub_${name} INTERFACE)
    target_include_directories(tf1hub_${name} INTERFACE "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src")
    target_link_libraries(tf1hub_${name} INTERFACE ${left_targets})
  endif()

  set_property(GLOBAL APPEND PROPERTY tf1hub_layers ${name})
  set_property(GLOBAL APPEND PROPERTY tf1hub_third_party ${ARGN})
endfunction()
