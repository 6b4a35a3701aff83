"""Loads, applies, trains and exports a module of the export tests with the real library.

hub_module.py MODULE EXPORT_DIR; exit status 77: there is no TensorFlow here. Writes what the trained
module gives for [[1, 2, 3]] to EXPORT_DIR.txt.
"""

import sys

try:
    import numpy as np
    import tensorflow.compat.v1 as tf
    import tensorflow_hub as hub
except ImportError:
    sys.exit(77)

tf.disable_eager_execution()
MODULE, EXPORT = sys.argv[1:]


def initialize(session):
    session.run(tf.global_variables_initializer())
    session.run(tf.tables_initializer())


def apply_everything():
    with tf.Graph().as_default():
        module = hub.Module(MODULE)
        x = np.array([[1, 2, 3], [4, 5, 6]], "float32")
        both = module({"x": x}, as_dict=True)
        ids = module(["lake", "nowhere"], signature="lookup")
        sparse = module(tf.SparseTensor([[0, 1]], [4.0], [2, 2]), signature="sparse")
        ragged = module(tf.ragged.constant([[1.0], [2.0, 3.0]]), signature="ragged")
        with tf.Session() as session:
            initialize(session)
            values, hidden, words, slots, rows = session.run(
                [both["default"], both["hidden"], ids, sparse, ragged])
        kernel = np.array([[1, 2], [3, 4], [5, 6]], "float32")
        np.testing.assert_allclose(hidden, x @ kernel + 5, rtol=1e-6)
        np.testing.assert_allclose(values, hidden * 8, rtol=1e-6)
        np.testing.assert_array_equal(words, [1, -1])
        np.testing.assert_array_equal(slots.values, [8])
        assert rows.to_list() == [[3.0], [6.0, 9.0]], rows
        spec = hub.load_module_spec(MODULE)
        assert sorted(map(sorted, spec.get_tags())) == [[], ["train"]]
        assert hub.get_expected_image_size(spec) == [8, 9]


def train_and_export():
    with tf.Graph().as_default():
        module = hub.Module(MODULE, trainable=True, tags={"train"})
        x = tf.constant([[1.0, 2, 3], [1, 0, 1]])
        y = module(x)
        penalties = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        assert len(penalties) == 1, penalties
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        assert len(updates) == 1, updates
        loss = tf.reduce_mean(tf.square(y - 10.0)) + tf.add_n(penalties)
        with tf.control_dependencies(updates):
            step = tf.train.GradientDescentOptimizer(1e-4).minimize(loss)
        probe = module(tf.constant([[1.0, 2, 3]]))
        with tf.Session() as session:
            initialize(session)
            first = session.run(loss)
            for _ in range(5):
                session.run(step)
            assert session.run(loss) < first
            assert session.run(module.variable_map["count"]) == 5
            module.export(EXPORT, session)
            values = session.run(probe)
    with open(EXPORT + ".txt", "w") as out:
        out.write("".join("%.4g " % v for v in values.ravel()))


apply_everything()
train_and_export()
