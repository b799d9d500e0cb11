# systole_component(NAME DEPS components... LIBS libraries... FOLDERS subfolders...)
#
# A folder of src/ (with its FOLDERS, if it has any) is a static library. Its *_test.cpp files become NAME_test, a test of its own; a link test proves
# that the library links with its declared DEPS alone; scripts/check-layers holds its #includes to DEPS.
set_property(GLOBAL PROPERTY SYSTOLE_LAYERS "")

function(systole_component name)
  cmake_parse_arguments(C "" "" "DEPS;LIBS;FOLDERS;TEST_DEPS;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(folder IN LISTS C_FOLDERS)
    file(GLOB more CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
    list(APPEND sources ${more})
  endforeach()
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|main|fuzz|bench)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(TRANSFORM C_DEPS PREPEND systole_ OUTPUT_VARIABLE dep_targets)
  if(sources)
    add_library(systole_${name} STATIC ${sources})
    target_link_libraries(systole_${name} PUBLIC systole_options ${dep_targets} ${C_LIBS})
  else()
    add_library(systole_${name} INTERFACE)
    target_link_libraries(systole_${name} INTERFACE systole_options ${dep_targets} ${C_LIBS})
  endif()
  string(REPLACE ";" "," deps "${C_DEPS}")
  set_property(GLOBAL APPEND PROPERTY SYSTOLE_LAYERS "${name}=${deps}")
  if(NOT SYSTOLE_TESTS)
    return()
  endif()
  if(sources)
    set(main ${CMAKE_BINARY_DIR}/generated/link_test.cpp)
    if(NOT EXISTS ${main})
      file(WRITE ${main} "int main() { return 0; }\n")
    endif()
    add_executable(${name}_link_test ${main})
    target_link_libraries(${name}_link_test PRIVATE
      -Wl,--whole-archive $<TARGET_FILE:systole_${name}> -Wl,--no-whole-archive systole_${name})
    add_dependencies(${name}_link_test systole_${name})
    add_test(NAME ${name}.links COMMAND ${name}_link_test)
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    list(TRANSFORM C_TEST_DEPS PREPEND systole_ OUTPUT_VARIABLE test_dep_targets)
    target_link_libraries(${name}_test PRIVATE systole_${name} ${test_dep_targets} ${C_TEST_LIBS}
      GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE SYSTOLE_TESTDATA="${CMAKE_CURRENT_SOURCE_DIR}/testdata")
    target_precompile_headers(${name}_test PRIVATE <gtest/gtest.h> <gmock/gmock.h>)
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()
endfunction()

# systole_program(NAME MAIN file DEPS components... [INSTALL folder]): an executable in BUILD/bin, installed in the folder.
#
# A folder whose programs all go to the same place says so once: SYSTOLE_PROGRAM_FOLDER, SYSTOLE_PROGRAM_COMPONENT.
function(systole_program name)
  cmake_parse_arguments(P "" "MAIN;INSTALL" "DEPS;LIBS" ${ARGN})
  add_executable(${name} ${P_MAIN})
  list(TRANSFORM P_DEPS PREPEND systole_)
  target_link_libraries(${name} PRIVATE systole_options ${P_DEPS} ${P_LIBS})
  if(P_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION ${P_INSTALL})
  elseif(SYSTOLE_PROGRAM_FOLDER)
    install(TARGETS ${name} RUNTIME DESTINATION ${SYSTOLE_PROGRAM_FOLDER} COMPONENT ${SYSTOLE_PROGRAM_COMPONENT})
  endif()
endfunction()

# For programs that make large trees, look at them and end (docs/adr/0017-allocator-of-planning-programs.md): where mimalloc
# is not installed they are slower. Sanitizers bring an allocator of their own.
function(systole_fast_allocator)
  if(SYSTOLE_MIMALLOC AND NOT SYSTOLE_SANITIZE)
    foreach(program ${ARGN})
      target_link_libraries(${program} PRIVATE -Wl,--no-as-needed ${SYSTOLE_MIMALLOC} -Wl,--as-needed)
    endforeach()
  endif()
endfunction()

# Writes BUILD/layers.txt, one "component=dep,dep" a line, and adds the test that holds includes to it.
function(systole_check_layers)
  get_property(layers GLOBAL PROPERTY SYSTOLE_LAYERS)
  string(REPLACE ";" "\n" text "${layers}")
  file(WRITE ${CMAKE_BINARY_DIR}/layers.txt "${text}\n")
  add_test(NAME layers COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-layers ${CMAKE_BINARY_DIR}/layers.txt
           ${CMAKE_SOURCE_DIR}/src)
endfunction()
