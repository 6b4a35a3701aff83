# cmake -DREPLAY=<program> -DREAL=<folder> -P replay_real.cmake: replays the goldens of models
# from the wild, which are other people's and not in the repository.
if(NOT IS_DIRECTORY "${REAL}")
  message("SKIPPED: there is no ${REAL} (set TF1HUB_SHARED_DIR)")
  return()
endif()
execute_process(COMMAND "${REPLAY}" --all-modes --inference "${REAL}" RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "tf1hub-replay: ${status}")
endif()
