#!/usr/bin/env python3
"""Times ELMo's loops, LSTM cells in tf.nn.dynamic_rnn, in tf1hub and TensorFlow, in turns.

    benchmarks/loops_against_tensorflow.py build/release/bin/tf1hub [--batch 1] [--threads 1] [--small]
        [--prototype "PROGRAM 1 1"]

The Python needs numpy and tensorflow (2.15). Two layers in two directions over 20 tokens; cells of
4096 units with a projection to 512, both clipped (--small: 512 and 128). At batch 1 the time is
that of reading the weights, 302 MB at each token if none stay in a cache. --prototype is a program
of hand-written kernels for the same loops, which prints "med 12.3 ms"; it takes turns too. Printed
are medians in ms, and ratios of medians in a round (median over the rounds).
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)

TOKENS = 20


def build(units, projection):
    """The graph of both directions, its variables as constants."""
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(1)
        x = tf.placeholder(tf.float32, [None, TOKENS, projection], name="x")
        lengths = tf.placeholder(tf.int32, [None], name="lengths")
        results = []
        for direction in ("forward", "backward"):
            y = x if direction == "forward" else tf.reverse_sequence(x, lengths, seq_axis=1, batch_axis=0)
            for layer in range(2):
                with tf.variable_scope(f"{direction}_{layer}"):
                    cell = tf.nn.rnn_cell.LSTMCell(units, num_proj=projection, cell_clip=3.0, proj_clip=3.0)
                    z, _ = tf.nn.dynamic_rnn(cell, y, sequence_length=lengths, dtype=tf.float32)
                y = z + y if layer else z
            results.append(y)
        tf.concat(results, 2, name="y")
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])


def times(run, repeat):
    run()
    result = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        result.append((time.perf_counter() - start) * 1e3)
    return statistics.median(result)


def time_tf1hub(args, folder):
    command = [args.tf1hub, "bench", os.path.join(folder, "graph.pb"), "--inputs", os.path.join(folder, "x.npz"),
               "--fetch", "y:0", "--threads", str(args.threads), "--warmup", "2", "--repeat", str(args.repeat),
               "--outputs", os.path.join(folder, "y.npz"), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1])["ms"])


def time_prototype(command):
    done = subprocess.run(command.split(), check=True, stdout=subprocess.PIPE, text=True)
    return float(re.search(r"med ([0-9.]+) ms", done.stdout).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tf1hub", help="the program")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="cells of 512 units")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--prototype", help="a command to compare with")
    args = parser.parse_args()
    units, projection = (512, 128) if args.small else (4096, 512)
    x = np.random.default_rng(1).standard_normal((args.batch, TOKENS, projection), np.float32)
    feeds = {"x:0": x, "lengths:0": np.full(args.batch, TOKENS, np.int32)}
    graph_def = build(units, projection)
    rounds = {"tf1hub": [], "TensorFlow": [], "prototype": []}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "graph.pb"), "wb") as file:
            file.write(graph_def.SerializeToString())
        np.savez(os.path.join(folder, "x.npz"), **feeds)
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(graph_def, name="")
        config = tf.ConfigProto(intra_op_parallelism_threads=args.threads, inter_op_parallelism_threads=1)
        with tf.Session(graph=graph, config=config) as session:
            expected = session.run("y:0", feeds)
            for _ in range(args.rounds):
                rounds["tf1hub"].append(time_tf1hub(args, folder))
                rounds["TensorFlow"].append(times(lambda: session.run("y:0", feeds), args.repeat))
                if args.prototype:
                    rounds["prototype"].append(time_prototype(args.prototype))
        with np.load(os.path.join(folder, "y.npz")) as result:
            np.testing.assert_allclose(result[result.files[0]], expected, rtol=1e-3, atol=1e-4)
    for name, ms in rounds.items():
        if ms:
            ratio = statistics.median(theirs / mine for theirs, mine in zip(ms, rounds["tf1hub"]))
            print(f"{name:12} {statistics.median(ms):9.2f} ms   {ratio:5.2f} of tf1hub's time", flush=True)


if __name__ == "__main__":
    main()
