# The programs, into <build>/bin. Each is a folder of apps/; a folder without sources is left out.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# What the programs share: reading and writing of arrays, JSON, goldens.
tf1hub_glob(common_sources "${CMAKE_SOURCE_DIR}/apps/common")
if(common_sources)
  add_library(tf1hub_apps_common STATIC ${common_sources})
  target_link_libraries(tf1hub_apps_common PRIVATE tf1hub_warnings)
else()
  add_library(tf1hub_apps_common INTERFACE)
endif()
if(common_sources)
  set(scope PUBLIC)
else()
  set(scope INTERFACE)
endif()
target_include_directories(tf1hub_apps_common ${scope} "${CMAKE_SOURCE_DIR}/apps")
target_link_libraries(tf1hub_apps_common ${scope}
  tf1hub_internal fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB)

# tf1hub_add_program(NAME FOLDER THIRD_PARTY...)
set(programs)
function(tf1hub_add_program name folder)
  tf1hub_glob(sources "${CMAKE_SOURCE_DIR}/apps/${folder}")
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE tf1hub_warnings tf1hub_apps_common ${ARGN})
  set(programs ${programs} ${name} PARENT_SCOPE)
endfunction()

# The target of the command-line program cannot be called tf1hub: the library is.
tf1hub_add_program(tf1hub_cli cli CLI11::CLI11 spdlog::spdlog)
if(TARGET tf1hub_cli)
  set_target_properties(tf1hub_cli PROPERTIES OUTPUT_NAME tf1hub)
  target_compile_definitions(tf1hub_cli PRIVATE TF1HUB_VERSION="${PROJECT_VERSION}")
endif()

# All of tf1hub-replay but its main: the tests replay recorded cases too.
tf1hub_glob(replay_sources "${CMAKE_SOURCE_DIR}/apps/replay")
list(REMOVE_ITEM replay_sources "${CMAKE_SOURCE_DIR}/apps/replay/main.cpp")
tf1hub_add_protos(tf1hub_replay_proto "${CMAKE_SOURCE_DIR}/apps" "${CMAKE_SOURCE_DIR}/apps/replay")
add_library(tf1hub_replay STATIC ${replay_sources})
target_link_libraries(tf1hub_replay
  PUBLIC tf1hub_apps_common PRIVATE tf1hub_warnings tf1hub_replay_proto)
add_executable(tf1hub-replay "${CMAKE_SOURCE_DIR}/apps/replay/main.cpp")
target_link_libraries(tf1hub-replay PRIVATE tf1hub_warnings tf1hub_replay CLI11::CLI11)
list(APPEND programs tf1hub-replay)

# Writes docs/ops.md; not installed.
add_executable(tf1hub-opsdoc "${CMAKE_SOURCE_DIR}/apps/opsdoc/main.cpp")
target_link_libraries(tf1hub-opsdoc PRIVATE tf1hub_warnings tf1hub_replay CLI11::CLI11)
