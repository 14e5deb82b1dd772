# What `cmake --install` puts where: the command, the library, its headers, and what find_package(Espalier) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(ESPALIER_ARCH MATCHES "native")
  install(CODE "message(FATAL_ERROR \"built with ${ESPALIER_ARCH}, for this processor alone: \"
    \"configure with -DESPALIER_ARCH=-march=x86-64-v3, or empty, to install it\")")
endif()
install(TARGETS espalier RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET espalier-automask)
  install(TARGETS espalier-automask RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL)
endif()
install(TARGETS espalier_api EXPORT EspalierTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP)
install(TARGETS espalier_api LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_ONLY)
install(DIRECTORY include/espalier DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Espalier)
install(EXPORT EspalierTargets NAMESPACE Espalier:: DESTINATION ${package})
configure_package_config_file(cmake/EspalierConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/EspalierConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/EspalierConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/EspalierConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/EspalierConfigVersion.cmake DESTINATION ${package})
