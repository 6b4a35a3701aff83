# tf1hub_internal: every layer, linked statically; for tests and programs.
# tf1hub: the shared library, from the same objects, which shows only the public API.

get_property(layers GLOBAL PROPERTY tf1hub_layers)
get_property(third_party GLOBAL PROPERTY tf1hub_third_party)
list(REMOVE_DUPLICATES third_party)

add_library(tf1hub_internal INTERFACE)
set(objects)
foreach(layer IN LISTS layers)
  list(PREPEND internal_layers tf1hub_${layer})
  foreach(target tf1hub_${layer} tf1hub_${layer}_proto)
    if(TARGET ${target})
      get_target_property(type ${target} TYPE)
      if(type STREQUAL "STATIC_LIBRARY")
        list(APPEND objects $<TARGET_OBJECTS:${target}>)
      endif()
    endif()
  endforeach()
endforeach()
target_link_libraries(tf1hub_internal INTERFACE ${internal_layers})

add_library(tf1hub SHARED ${objects})
add_library(tf1hub::tf1hub ALIAS tf1hub)
set_target_properties(tf1hub PROPERTIES
  LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION}
  SOVERSION 0
  LINK_DEPENDS "${CMAKE_SOURCE_DIR}/cmake/tf1hub.map")
target_link_options(tf1hub PRIVATE
  "-Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/tf1hub.map" -Wl,--exclude-libs,ALL)
if(TF1HUB_SANITIZE STREQUAL "none" AND NOT TF1HUB_FUZZ)
  target_link_options(tf1hub PRIVATE -Wl,--no-undefined)
endif()
target_link_libraries(tf1hub PRIVATE ${third_party})
target_include_directories(tf1hub PUBLIC
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:include>)
target_compile_features(tf1hub PUBLIC cxx_std_20)
