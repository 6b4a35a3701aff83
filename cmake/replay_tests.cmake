# CTest entries that replay what real TensorFlow did, in every mode.

find_package(Python3 REQUIRED COMPONENTS Interpreter)

# The families of recorded cases that this library claims to run.
set(TF1HUB_REPLAYED_FAMILIES math reduce linalg array state random nn image audio nets
    control flow tables sparse text tftext optimizers losses_layers trajectories)

# Models from the wild (other people's, not in the repository) that this library claims to run.
set(TF1HUB_REPLAYED_MODELS
    checkpoint/t2t_transformer
    frozen/keyword_spotting frozen/mobilenet_v1_025_128 frozen/mtcnn
    hub/cosmicrim_likelihood hub/dhod_likelihood hub/half_plus_two_v1 hub/tftext_segmenter
    hub/v1_mini hub/v1_mini_train
    hub/vae3dshapes_model hub/vae3dshapes_representation hub_graph_only
    saved_model_v1/counter saved_model_v1/half_plus_two saved_model_v1/iris
    saved_model_v1/mnist_pbtxt saved_model_v1/mnist_tensorflow_1_13
    saved_model_v1/tfx_taxi
    saved_model_v2/basic_pitch saved_model_v2/cppflow)

# The families of which the recorded gradients are replayed, too.
set(TF1HUB_REPLAYED_GRADIENTS math reduce linalg array state random nn image audio control tables
    sparse text tftext nets losses_layers autodiff)

# tf1hub_replay_test(NAME OPTION... -- PATH...): every unit passes, or stands in
# known_exceptions.json.
function(tf1hub_replay_test name)
  add_test(NAME replay.${name}
           COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tests/replay_known.py"
                   $<TARGET_FILE:tf1hub-replay> "${CMAKE_SOURCE_DIR}/tests/data/known_exceptions.json"
                   ${ARGN})
  set_tests_properties(replay.${name} PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED: none")
endfunction()

# What a model or family computes.
function(tf1hub_add_replay name)
  tf1hub_replay_test(${name} --inference -- ${ARGN})
endfunction()

foreach(family IN LISTS TF1HUB_REPLAYED_FAMILIES)
  tf1hub_add_replay(${family} "${CMAKE_SOURCE_DIR}/tests/data/conformance/${family}.binpb")
endforeach()

foreach(family IN LISTS TF1HUB_REPLAYED_GRADIENTS)
  tf1hub_replay_test(gradients.${family} --only gradients --
                     "${CMAKE_SOURCE_DIR}/tests/data/conformance/${family}.binpb")
endforeach()

tf1hub_add_replay(demo "${CMAKE_SOURCE_DIR}/examples/data")

file(GLOB modules RELATIVE "${CMAKE_SOURCE_DIR}/tests/data/zoo" "${CMAKE_SOURCE_DIR}/tests/data/zoo/*/golden.json")
set(module_paths "")
foreach(golden IN LISTS modules)
  get_filename_component(module "${golden}" DIRECTORY)
  list(APPEND module_paths "${CMAKE_SOURCE_DIR}/tests/data/zoo/${module}")
endforeach()
tf1hub_add_replay(zoo ${module_paths})
tf1hub_replay_test(scenarios --only scenarios,misuse -- "${CMAKE_SOURCE_DIR}/tests/data/zoo")
tf1hub_replay_test(training --training -- "${CMAKE_SOURCE_DIR}/tests/data/zoo"
                   "${TF1HUB_SHARED_DIR}/real")

list(TRANSFORM TF1HUB_REPLAYED_MODELS PREPEND "${TF1HUB_SHARED_DIR}/real/" OUTPUT_VARIABLE model_paths)
tf1hub_add_replay(real ${model_paths})

# A trained transformer of 92 MB, which is not in the repository.
tf1hub_add_replay(large "${TF1HUB_LARGE_DIR}/bert_minilm")
