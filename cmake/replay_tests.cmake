# CTest entries that replay what real TensorFlow did, in every mode.

# The families of recorded cases that this library claims to run.
set(TF1HUB_REPLAYED_FAMILIES math reduce linalg array state random control tables sparse)

# tf1hub_add_replay(NAME PATH)
function(tf1hub_add_replay name path)
  add_test(NAME replay.${name}
           COMMAND tf1hub-replay --all-modes --inference "${CMAKE_SOURCE_DIR}/${path}")
endfunction()

foreach(family IN LISTS TF1HUB_REPLAYED_FAMILIES)
  tf1hub_add_replay(${family} tests/data/conformance/${family}.binpb)
endforeach()

# Whole modules.
tf1hub_add_replay(demo examples/data)
tf1hub_add_replay(zoo tests/data/zoo)
add_test(NAME replay.real
         COMMAND "${CMAKE_COMMAND}" -DREPLAY=$<TARGET_FILE:tf1hub-replay>
                 "-DREAL=${TF1HUB_SHARED_DIR}/real" -P "${CMAKE_SOURCE_DIR}/tests/replay_real.cmake")
set_tests_properties(replay.real PROPERTIES SKIP_REGULAR_EXPRESSION "^SKIPPED")
