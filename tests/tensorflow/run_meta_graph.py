"""Checks that TensorFlow imports a MetaGraphDef of tf1hub, runs it and differentiates it.

Usage: run_meta_graph.py META CASES, a MetaGraphDef and a JSON file:
{"feeds": {TENSOR: value}, "fetches": {TENSOR: [values, flat]}, "gradients": [[Y, X]...]}.
Fetches must have these values; each gradient of the scalar Y to the fed scalar X must agree
with finite differences. Exit status 77: there is no TensorFlow that can be imported.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
try:
    import numpy as np
    import tensorflow.compat.v1 as tf
except Exception as error:  # a broken installation raises anything
    print(f"TensorFlow cannot be imported: {error}", file=sys.stderr)
    sys.exit(77)

STEP = 1e-2


def problems(meta, cases):
    """Yields what is wrong."""
    graph = tf.get_default_graph()
    tf.train.import_meta_graph(meta, clear_devices=False)
    gradients = [(y, x, tf.gradients(graph.get_tensor_by_name(y), graph.get_tensor_by_name(x))[0])
                 for y, x in cases["gradients"]]
    feeds = cases["feeds"]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for name, expected in cases["fetches"].items():
            value = np.ravel(session.run(name, feeds))
            if not np.allclose(value, expected, rtol=1e-5, atol=1e-6):
                yield f"{name} is {value}, expected {expected}"
        for y, x, gradient in gradients:
            if gradient is None:
                yield f"there is no gradient of {y} to {x}"
                continue
            value = session.run(gradient, feeds)
            up, down = (session.run(y, {**feeds, x: feeds[x] + s}) for s in (STEP, -STEP))
            wanted = (up - down) / (2 * STEP)
            if not np.allclose(value, wanted, rtol=2e-2, atol=1e-2):
                yield f"the gradient of {y} to {x} is {value}, by differences {wanted}"


def main(meta, cases):
    tf.disable_v2_behavior()  # TensorArrays of TensorFlow 1 are differentiated
    with open(cases, encoding="utf-8") as file:
        found = list(problems(meta, json.load(file)))
    print("\n".join(found) or "all agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
