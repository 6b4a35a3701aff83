#!/usr/bin/env python3
"""Times elementwise kernels, reductions and transposes in tf1hub, TensorFlow and NumPy, in turns.

    benchmarks/kernels_against_peers.py build/release/bin/tf1hub [--threads 1] [--only exp] [--small]

The Python needs numpy and tensorflow (2.15). Each kernel is a graph of one op, fed with a tensor of
64 MB, or of 800 KB with --small: beyond the caches, or within. A round runs all engines; printed are the
medians, the ratios of medians in a round (median over the rounds; above 1 tf1hub is faster), and
how many bytes a second tf1hub reads and writes against a plain copy of NumPy in the same round.
NumPy computes on one thread, into memory that is there already; where it needs several passes
(sigmoid), it has no entry.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()


def transposed(x, axes, out):
    np.copyto(out, np.transpose(x, axes))


# name: (graph of x, NumPy's (x, out) or None, shape of x, bytes written for each byte read)
def kernels(count):
    rows = (count // 256, 256)
    image = (count // (56 * 56 * 64), 56, 56, 64)
    bias = np.linspace(-1, 1, 256, dtype=np.float32)
    flat = (count,)
    return {
        "neg": (lambda x: -x, np.negative, flat, 1),
        "add_same": (lambda x: x + x, lambda x, out: np.add(x, x, out=out), flat, 1),
        "mul_scalar": (lambda x: x * 1.5, lambda x, out: np.multiply(x, np.float32(1.5), out=out), flat, 1),
        "add_bias": (lambda x: x + bias, lambda x, out: np.add(x, bias, out=out), rows, 1),
        "add_column": (lambda x: x + tf.constant(np.ones((rows[0], 1), np.float32)),
                       lambda x, out: np.add(x, np.ones((rows[0], 1), np.float32), out=out), rows, 1),
        "maximum": (lambda x: tf.maximum(x, 0.25), lambda x, out: np.maximum(x, np.float32(0.25), out=out), flat, 1),
        "relu": (tf.nn.relu, lambda x, out: np.maximum(x, np.float32(0), out=out), flat, 1),
        "greater": (lambda x: x > 0.0, lambda x, out: np.greater(x, np.float32(0), out=out), flat, 0.25),
        "cast_int32": (lambda x: tf.cast(x, tf.int32), lambda x, out: np.copyto(out, x, casting="unsafe"), flat, 1),
        "sqrt": (tf.sqrt, np.sqrt, flat, 1),
        "exp": (tf.exp, np.exp, flat, 1),
        "log": (tf.log, np.log, flat, 1),
        "tanh": (tf.tanh, np.tanh, flat, 1),
        "erf": (tf.math.erf, None, flat, 1),
        "sigmoid": (tf.sigmoid, None, flat, 1),
        "softmax_rows": (tf.nn.softmax, None, rows, 1),
        "sum_all": (tf.reduce_sum, lambda x, out: np.sum(x, out=out), flat, 0),
        "sum_rows": (lambda x: tf.reduce_sum(x, 1), lambda x, out: np.sum(x, 1, out=out), rows, 0),
        "sum_columns": (lambda x: tf.reduce_sum(x, 0), lambda x, out: np.sum(x, 0, out=out), rows, 0),
        "max_rows": (lambda x: tf.reduce_max(x, 1), lambda x, out: np.max(x, 1, out=out), rows, 0),
        "mean_image": (lambda x: tf.reduce_mean(x, [1, 2]), lambda x, out: np.mean(x, (1, 2), out=out), image, 0),
        "argmax_rows": (lambda x: tf.argmax(x, 1), lambda x, out: np.argmax(x, 1, out=out), rows, 0),
        "transpose": (lambda x: tf.transpose(x), lambda x, out: transposed(x, (1, 0), out), rows, 1),
        "nhwc_to_nchw": (lambda x: tf.transpose(x, [0, 3, 1, 2]), lambda x, out: transposed(x, (0, 3, 1, 2), out),
                         image, 1),
    }


def aligned(shape, dtype):
    """Memory that TensorFlow need not copy when it is fed."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + size].view(dtype).reshape(shape)


def times(run, repeat):
    for _ in range(2):
        run()
    result = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        result.append((time.perf_counter() - start) * 1e3)
    return result


def time_tf1hub(args, folder, repeat):
    command = [args.tf1hub, "bench", os.path.join(folder, "graph.pb"), "--inputs", os.path.join(folder, "x.npz"),
               "--fetch", "y:0", "--threads", str(args.threads), "--warmup", "2", "--repeat", str(repeat),
               "--outputs", os.path.join(folder, "y.npz"), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])["ms"]


def measure(args, name, graph_of, numpy_of, shape, written, folder):
    x = aligned(shape, np.float32)
    x[...] = np.random.default_rng(1).standard_normal(shape, np.float32)
    if name in ("log", "sqrt"):
        np.abs(x, out=x)
    graph = tf.Graph()
    with graph.as_default():
        placeholder = tf.placeholder(tf.float32, [None] * len(shape), name="x")
        y = tf.identity(graph_of(placeholder), name="y")
    with open(os.path.join(folder, "graph.pb"), "wb") as file:
        file.write(graph.as_graph_def().SerializeToString())
    np.savez(os.path.join(folder, "x.npz"), **{"x:0": x})
    config = tf.ConfigProto(intra_op_parallelism_threads=args.threads, inter_op_parallelism_threads=1)
    repeat = args.repeat * (20 if args.small else 1)
    rounds = {"tf1hub": [], "TensorFlow": [], "NumPy": [], "copy": []}
    with tf.Session(graph=graph, config=config) as session:
        run = session.make_callable(y.op, [placeholder])  # the result is not brought to Python
        expected = session.run(y, {placeholder: x})
        out = aligned(expected.shape, expected.dtype)
        copy = aligned(shape, np.float32)
        for _ in range(args.rounds):
            rounds["tf1hub"].append(statistics.median(time_tf1hub(args, folder, repeat)))
            rounds["TensorFlow"].append(statistics.median(times(lambda: run(x), repeat)))
            if numpy_of is not None:
                rounds["NumPy"].append(statistics.median(times(lambda: numpy_of(x, out=out), repeat)))
            rounds["copy"].append(statistics.median(times(lambda: np.copyto(copy, x), repeat)))
    with np.load(os.path.join(folder, "y.npz")) as result:
        np.testing.assert_allclose(result[result.files[0]], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return rounds, x.nbytes * (1 + written), 2 * x.nbytes


def report(name, rounds, size, copied):
    ours = rounds["tf1hub"]
    cells = [f"{statistics.median(ours):.3f}"]
    for peer in ("TensorFlow", "NumPy"):
        ratios = [theirs / mine for mine, theirs in zip(ours, rounds[peer])]
        cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
    speed = [(size / mine) / (copied / theirs) for mine, theirs in zip(ours, rounds["copy"])]
    cells += [f"{size / statistics.median(ours) / 1e6:.1f}", f"{statistics.median(speed):.2f}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tf1hub", help="the program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="kernels whose name contains this")
    parser.add_argument("--small", action="store_true", help="tensors of 800 KB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=8)
    args = parser.parse_args()
    # A multiple of an image and of a row.
    count = 56 * 56 * 64 * (1 if args.small else 80)
    print("| kernel | tf1hub ms | TensorFlow / tf1hub | NumPy / tf1hub | GB/s | of a copy |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (graph_of, numpy_of, shape, written) in kernels(count).items():
            if args.only is None or args.only in name:
                report(name, *measure(args, name, graph_of, numpy_of, shape, written, folder))


if __name__ == "__main__":
    main()
