# Warnings are errors; every target of the project links to systole_options.
add_library(systole_options INTERFACE)
target_compile_options(systole_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Werror
  # Members left out of a designated initialiser have their declared defaults: that is what we use them for.
  -Wno-missing-field-initializers
  # g++ 12 sees overlaps and overruns in inlined std::string code that aren't there (GCC bugs 105329, 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>
  # libstdc++ 12 calls what it declares deprecated itself in std::stable_sort.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_compile_definitions(systole_options INTERFACE
  $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS> FMT_HEADER_ONLY=0)
target_include_directories(systole_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)

find_program(SYSTOLE_MOLD mold)
if(SYSTOLE_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(systole_options INTERFACE -fuse-ld=mold)
endif()
if(SYSTOLE_SANITIZE)
  target_compile_options(systole_options INTERFACE -fsanitize=${SYSTOLE_SANITIZE} -fno-omit-frame-pointer
    $<$<BOOL:${SYSTOLE_FUZZ}>:-fsanitize=fuzzer-no-link>)
  target_link_options(systole_options INTERFACE -fsanitize=${SYSTOLE_SANITIZE})
endif()

find_program(SYSTOLE_CCACHE ccache)
if(SYSTOLE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Whatever the user's settings: a precompiled header of another build tree must never be taken from the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS= ${SYSTOLE_CCACHE})
endif()
