# For builds against the ROS 2 wheels, included right after project() through -DCMAKE_PROJECT_INCLUDE=<this file>.
#
# *__rosidl_generator_py targets carry include folders that nothing linking to them needs and that stop the build:
# those that the wheels export belong to the machine the wheels were made on, and our own may name NumPy inside a
# virtual environment that lies in this source folder, which CMake refuses to export.
macro(_cc_ros_drop_include_folders)
  get_property(_cc_targets DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" PROPERTY IMPORTED_TARGETS)
  foreach(_cc_target IN LISTS _cc_targets ITEMS ${PROJECT_NAME}__rosidl_generator_py)
    if(_cc_target MATCHES "__rosidl_generator_py$" AND TARGET ${_cc_target})
      get_target_property(_cc_folders ${_cc_target} INTERFACE_INCLUDE_DIRECTORIES)
      set(_cc_keep "")
      foreach(_cc_folder IN LISTS _cc_folders)
        cmake_path(IS_PREFIX CMAKE_SOURCE_DIR "${_cc_folder}" _cc_inside)
        if(_cc_folder MATCHES "^\\$<" OR (EXISTS "${_cc_folder}" AND NOT _cc_inside))
          list(APPEND _cc_keep "${_cc_folder}")
        endif()
      endforeach()
      set_target_properties(${_cc_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_cc_keep}")
    endif()
  endforeach()
endmacro()
cmake_language(DEFER DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" CALL _cc_ros_drop_include_folders)
