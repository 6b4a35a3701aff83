"""One process loads this library and TensorFlow, in the order that is asked for, and both work.

one_process.py PROBE MODULE tensorflow|tf1hub (which comes first); exit status 77: there is no
TensorFlow here.
"""

import ctypes
import sys

PROBE, MODULE, FIRST = sys.argv[1:]


def load_probe():
    probe = ctypes.CDLL(PROBE)
    probe.apply_module.restype = ctypes.c_float
    probe.apply_module.argtypes = [ctypes.c_char_p, ctypes.c_float]
    return probe


def use_probe(probe):
    assert probe.apply_module(MODULE.encode(), 10.0) == 7.0


if FIRST == "tf1hub":
    probe = load_probe()
    use_probe(probe)
try:
    import tensorflow.compat.v1 as tf
    import tensorflow_hub as hub
except ImportError:
    print("SKIPPED: no TensorFlow")
    sys.exit(77)
if FIRST == "tensorflow":
    probe = load_probe()

tf.disable_eager_execution()
for _ in range(2):
    use_probe(probe)
    with tf.Graph().as_default():
        y = hub.Module(MODULE)(tf.constant([10.0]))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            assert session.run(y)[0] == 7.0
use_probe(probe)
