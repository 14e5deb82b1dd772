# Functions that every folder uses to name its libraries and tests.

find_program(ESPALIER_CCACHE ccache)
if(ESPALIER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ESPALIER_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${ESPALIER_CCACHE})
endif()

# Warnings, sanitizers and the project's include root for a target of ours.
function(espalier_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion)
  if(ESPALIER_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# espalier_library(name SOURCES a.cpp ... LINK lib ... [PRIVATE_LINK lib ...])
# Includes are relative to the repository's sw_stack/, to its root and to include/.
function(espalier_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/sw_stack ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  espalier_options(${name})
endfunction()

# espalier_test(name TIER unit SOURCES a_test.cpp LINK lib ... [TIMEOUT seconds])
# One Catch2 program; each case becomes a CTest test with the tier as its label.
function(espalier_test name)
  cmake_parse_arguments(ARG "" "TIER;TIMEOUT" "SOURCES;LINK" ${ARGN})
  # It ends what hangs: a slow machine, or many more random cases (ESPALIER_LONG), take their time.
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1800)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} espalier_catch_main)
  target_compile_definitions(${name} PRIVATE ESPALIER_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  espalier_options(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  catch_discover_tests(${name} EXTRA_ARGS -w NoTests TEST_PREFIX "${ARG_TIER}/"
    PROPERTIES LABELS ${ARG_TIER} TIMEOUT ${ARG_TIMEOUT}
               SKIP_REGULAR_EXPRESSION "case skipped: ")
endfunction()
