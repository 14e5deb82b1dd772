# Verilated models of the RTL.

find_package(verilator HINTS $ENV{VERILATOR_ROOT} /usr/share/verilator REQUIRED)
find_package(ZLIB REQUIRED)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(ESPALIER_CLANGXX ${CMAKE_CXX_COMPILER})
else()
  find_program(ESPALIER_CLANGXX NAMES clang++ clang++-16 clang++-15 clang++-14)
endif()

# Clang's models are laid out by a profile where its tools and its library of counters are (tb/CMakeLists.txt).
if(ESPALIER_CLANGXX)
  execute_process(COMMAND ${ESPALIER_CLANGXX} -print-file-name=libclang_rt.profile-${CMAKE_SYSTEM_PROCESSOR}.a
    OUTPUT_VARIABLE ESPALIER_COUNTERS OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND ${ESPALIER_CLANGXX} -print-prog-name=llvm-profdata
    OUTPUT_VARIABLE profdata OUTPUT_STRIP_TRAILING_WHITESPACE)
  find_program(ESPALIER_PROFDATA ${profdata})
  if(NOT EXISTS "${ESPALIER_COUNTERS}")
    set(ESPALIER_PROFDATA "")
  endif()
endif()

set(ESPALIER_RTL_DIR ${PROJECT_SOURCE_DIR}/rtl)

# espalier_rtl_sources(out): every file of the RTL, packages first.
function(espalier_rtl_sources out)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${ESPALIER_RTL_DIR}/*.sv)
  set(packages ${files})
  list(FILTER packages INCLUDE REGEX "_pkg\\.sv$")
  list(FILTER files EXCLUDE REGEX "_pkg\\.sv$")
  set(${out} ${packages} ${files} PARENT_SCOPE)
endfunction()

# espalier_forget_moved(target prefix): has a model verilated anew of which a source is gone since.
# verilate() lists the sources of its last run as dependencies, and runs again for other arguments only.
function(espalier_forget_moved target prefix)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/${prefix}.dir)
  if(NOT EXISTS ${folder}/${prefix}_copy.cmake)
    return()
  endif()
  include(${folder}/${prefix}_copy.cmake)
  foreach(source ${${prefix}_DEPS})
    if(NOT EXISTS ${source})
      file(REMOVE ${folder}/verilator_args.txt)
      return()
    endif()
  endforeach()
endfunction()

# espalier_verilate(target TOP module [SOURCES a.sv ...] [PARAMETERS Lanes=4 ...] [DEFINES A=b ...]
#                   [PREFIX Vname] [PURPOSE fast|counting|traced|asserting|netlist] [PROFILE file])
# A static library with the C++ model of one top, class `V<target>` (or PREFIX). Without SOURCES the
# top is found by its file name under rtl/; modules below it are always found by their file names.
# fast: no assertions; traced: waves (FST), none in the array's elements; asserting: assertions;
# counting: the fast model with counters of its branches; a PROFILE is made of these.
# netlist: SOURCES is the whole design: a synthesised one, models of its cells, a bench's wrapper.
# verilate() runs while CMake configures, so generated SystemVerilog must exist by then.
function(espalier_verilate target)
  cmake_parse_arguments(ARG "" "TOP;PREFIX;PURPOSE;PROFILE" "SOURCES;PARAMETERS;DEFINES" ${ARGN})
  if(NOT ARG_PREFIX)
    set(ARG_PREFIX V${target})
  endif()
  if(NOT ARG_PURPOSE)
    set(ARG_PURPOSE fast)
  endif()
  espalier_rtl_sources(all)
  set(packages ${all})
  list(FILTER packages INCLUDE REGEX "_pkg\\.sv$")
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${all})
    list(FILTER ARG_SOURCES INCLUDE REGEX "/${ARG_TOP}\\.sv$")
    if(NOT ARG_SOURCES)
      message(FATAL_ERROR "espalier_verilate: no file ${ARG_TOP}.sv under ${ESPALIER_RTL_DIR}")
    endif()
  endif()
  list(REMOVE_ITEM packages ${ARG_SOURCES})

  # An illegal parameter ($error) stops the build, warnings do not: lint/run is for those. Without tables: what a
  # case or a few gates give is computed in less time than it is looked up.
  set(flags -O3 -fno-table --x-assign fast --x-initial fast -Wno-fatal -Werror-USERERROR -Wno-lint -Wno-style
    -I${ESPALIER_RTL_DIR}/common)
  set(folders ${all})
  list(TRANSFORM folders REPLACE "/[^/]*$" "")
  list(REMOVE_DUPLICATES folders)
  foreach(folder ${folders})
    list(APPEND flags -y ${folder})
  endforeach()

  set(trace "")
  if(ARG_PURPOSE STREQUAL "netlist")
    # Cells have pins that are left open, and carry chains look like loops. Verilator 5.006 does not settle
    # such a loop where it depends on inputs of the top: synth/post has none.
    set(optimize -O1)
    set(packages "")
    set(flags -O3 --x-assign fast --x-initial fast -Wno-fatal -Wno-lint -Wno-style -Wno-UNOPTFLAT
      +define+ICE40_HX +define+NO_ICE40_DEFAULT_ASSIGNMENTS)
  elseif(ARG_PURPOSE STREQUAL "fast")
    set(optimize -O3)
  elseif(ARG_PURPOSE STREQUAL "counting")
    set(optimize -O1 -fprofile-instr-generate)
  elseif(ARG_PURPOSE STREQUAL "traced")
    set(optimize -O2)
    set(trace TRACE_FST)
    list(PREPEND ARG_SOURCES ${PROJECT_SOURCE_DIR}/cmake/trace.vlt)
  elseif(ARG_PURPOSE STREQUAL "asserting")
    set(optimize -O2)
    list(APPEND flags --assert -DESP_ASSERTIONS)
  else()
    message(FATAL_ERROR "espalier_verilate: PURPOSE is ${ARG_PURPOSE}; it may be fast, counting, traced, asserting, netlist")
  endif()

  foreach(parameter ${ARG_PARAMETERS})
    list(APPEND flags -G${parameter})
  endforeach()
  foreach(define ${ARG_DEFINES})
    list(APPEND flags +define+${define})
  endforeach()

  espalier_forget_moved(${target} ${ARG_PREFIX})
  add_library(${target} STATIC)
  verilate(${target} PREFIX ${ARG_PREFIX} TOP_MODULE ${ARG_TOP} SOURCES ${packages} ${ARG_SOURCES}
    ${trace} VERILATOR_ARGS ${flags})
  target_compile_options(${target} PRIVATE ${optimize} ${ESPALIER_ARCH} -w)
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(${target} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${includes}")
  # Verilator splits a model into many short files, each of which takes longer for its headers than for itself. A
  # profile is of files as they are; Verilator's own ones are the same for all models, and compiled once with ccache.
  if(ARG_PURPOSE MATCHES "^(fast|asserting)$" AND NOT ARG_PROFILE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "/verilated[^/]*\\.cpp$")
    set_property(SOURCE ${sources} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(ARG_PURPOSE STREQUAL "traced")
    target_link_libraries(${target} PUBLIC ZLIB::ZLIB)
  endif()
  if(ARG_PURPOSE STREQUAL "counting")
    target_link_libraries(${target} PUBLIC -u__llvm_profile_runtime ${ESPALIER_COUNTERS})
  endif()
  if(ARG_PROFILE)
    # Not Verilator's own sources: other models have them, too.
    get_target_property(generated ${target} SOURCES)
    list(FILTER generated INCLUDE REGEX "^${CMAKE_CURRENT_BINARY_DIR}/")
    set_property(SOURCE ${generated} APPEND PROPERTY OBJECT_DEPENDS ${ARG_PROFILE})
    set_property(SOURCE ${generated} APPEND PROPERTY COMPILE_OPTIONS -fprofile-instr-use=${ARG_PROFILE})
  endif()
  target_link_libraries(${target} PUBLIC atomic)
  # Clang's models run up to half as fast again as GCC's.
  if(ESPALIER_CLANGXX AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(cache env)
    if(ESPALIER_CCACHE)
      set(cache ${ESPALIER_CCACHE})
    endif()
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${PROJECT_SOURCE_DIR}/cmake/with_compiler.sh;${ESPALIER_CLANGXX};${cache}")
  endif()
endfunction()
