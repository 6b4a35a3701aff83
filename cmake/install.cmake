# cmake --install: headers, the shared library, the programs, and the CMake package tf1hub.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/hub" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS tf1hub EXPORT tf1hubTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(programs)
  install(TARGETS ${programs} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tf1hub")
install(EXPORT tf1hubTargets NAMESPACE tf1hub:: DESTINATION "${package_dir}")
configure_package_config_file(
  "${CMAKE_SOURCE_DIR}/cmake/tf1hubConfig.cmake.in" "${CMAKE_BINARY_DIR}/tf1hubConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/tf1hubConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/tf1hubConfig.cmake" "${CMAKE_BINARY_DIR}/tf1hubConfigVersion.cmake"
        DESTINATION "${package_dir}")
