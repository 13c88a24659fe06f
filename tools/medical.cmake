# The libraries that read medical files, and which headers need them. Included by the top CMakeLists.txt.
#   VITALS_PARTS               what was found, of NIFTI DICOM HDF5
#   VITALS_MEDICAL_INCLUDES, VITALS_MEDICAL_LIBRARIES
#   VITALS_NEEDS_<header>      the parts that a header or .ipp needs by what it includes, itself or through others
#   vitals_missing_parts(result PART...)    those that were not found
#   vitals_parts_of_source(result FILE)     what the vitals headers included by a source need
#   vitals_link_parts(target FILE)          links vitals::medical to a target whose source needs a part
set(VITALS_PARTS)
set(VITALS_MEDICAL_INCLUDES)
set(VITALS_MEDICAL_LIBRARIES)

# vitals_find_part(PART package HEADER file SUFFIX folder LIBRARIES name...): a name a|b is found under either.
# Debian's CMake package of nifti_clib names files that are not there, so libraries are looked for by name.
function(vitals_find_part part package)
  cmake_parse_arguments(find "" "HEADER;SUFFIX" "LIBRARIES" ${ARGN})
  find_path(VITALS_${part}_INCLUDE ${find_HEADER} PATH_SUFFIXES ${find_SUFFIX})
  mark_as_advanced(VITALS_${part}_INCLUDE)
  set(found ${VITALS_${part}_INCLUDE})
  set(libraries)
  foreach(names IN LISTS find_LIBRARIES)
    string(REPLACE "|" ";" names "${names}")
    list(GET names 0 first)
    find_library(VITALS_${part}_${first} NAMES ${names})
    mark_as_advanced(VITALS_${part}_${first})
    list(APPEND libraries ${VITALS_${part}_${first}})
    if(NOT VITALS_${part}_${first})
      set(found)
    endif()
  endforeach()
  if(NOT found)
    message(STATUS "vitals: ${package} is not there (tools/install_packages.sh installs it): built without it")
    return()
  endif()
  set(VITALS_PARTS ${VITALS_PARTS} ${part} PARENT_SCOPE)
  set(VITALS_MEDICAL_INCLUDES ${VITALS_MEDICAL_INCLUDES} ${VITALS_${part}_INCLUDE} PARENT_SCOPE)
  set(VITALS_MEDICAL_LIBRARIES ${VITALS_MEDICAL_LIBRARIES} ${libraries} PARENT_SCOPE)
endfunction()

if(VITALS_BUILD_MEDICAL)
  vitals_find_part(NIFTI "nifti_clib" HEADER nifti2_io.h SUFFIX nifti LIBRARIES nifti2 znz)
  vitals_find_part(DICOM "GDCM" HEADER gdcmImage.h SUFFIX gdcm-3.0
                   LIBRARIES gdcmMSFF gdcmDSED gdcmDICT gdcmCommon)
  vitals_find_part(HDF5 "HDF5" HEADER hdf5.h SUFFIX hdf5/serial LIBRARIES hdf5_serial|hdf5)
endif()

# What each header includes, then, from the foreign headers on, who includes whom.
file(GLOB_RECURSE VITALS_HEADERS RELATIVE ${PROJECT_SOURCE_DIR}/include CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/include/vitals/*.hpp ${PROJECT_SOURCE_DIR}/include/vitals/*.ipp)
set(VITALS_FOREIGN_NIFTI nifti2_io.h)
set(VITALS_FOREIGN_DICOM gdcmImage.h)
set(VITALS_FOREIGN_HDF5 hdf5.h)
foreach(header IN LISTS VITALS_HEADERS)
  file(STRINGS ${PROJECT_SOURCE_DIR}/include/${header} lines REGEX "^#include <")
  string(REGEX REPLACE "#include <([^>]*)>[^;]*" "\\1" VITALS_INCLUDES_${header} "${lines}")
endforeach()
foreach(part IN ITEMS NIFTI DICOM HDF5)
  set(found ${VITALS_FOREIGN_${part}})
  while(found)
    list(POP_FRONT found included)
    foreach(header IN LISTS VITALS_HEADERS)
      if(included IN_LIST VITALS_INCLUDES_${header} AND NOT part IN_LIST VITALS_NEEDS_${header})
        list(APPEND VITALS_NEEDS_${header} ${part})
        list(APPEND found ${header})
      endif()
    endforeach()
  endwhile()
endforeach()

function(vitals_missing_parts result)
  set(missing ${ARGN})
  if(VITALS_PARTS)
    list(REMOVE_ITEM missing ${VITALS_PARTS})
  endif()
  set(${result} ${missing} PARENT_SCOPE)
endfunction()

function(vitals_parts_of_source result file)
  set(parts)
  file(STRINGS ${file} lines REGEX "^ *#include <vitals/")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^ *#include <([^>]*)>.*" "\\1" header "${line}")
    list(APPEND parts ${VITALS_NEEDS_${header}})
  endforeach()
  list(REMOVE_DUPLICATES parts)
  set(${result} ${parts} PARENT_SCOPE)
endfunction()

function(vitals_link_parts target file)
  vitals_parts_of_source(parts ${file})
  if(parts)
    target_link_libraries(${target} PRIVATE vitals::medical)
  endif()
endfunction()
