# CTest entries that replay what real TensorFlow did, in every mode.

# The families of recorded cases that this library claims to run.
set(TF1HUB_REPLAYED_FAMILIES math reduce linalg array state random control tables sparse)

foreach(family IN LISTS TF1HUB_REPLAYED_FAMILIES)
  add_test(NAME replay.${family}
           COMMAND tf1hub-replay --all-modes --inference
                   "${CMAKE_SOURCE_DIR}/tests/data/conformance/${family}.binpb")
endforeach()
