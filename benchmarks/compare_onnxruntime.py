#!/usr/bin/env python3
"""Times a frozen graph in `tf1hub bench` and in ONNX Runtime, in turn, and prints the ratio.

    compare_onnxruntime.py TF1HUB GRAPH.pb MODEL.onnx INPUT_NAME OUTPUT_NAME SHAPE [ROUNDS]

SHAPE is such as 1,128,128,3. MODEL.onnx is the same graph, converted with
`python -m tf2onnx.convert --graphdef GRAPH.pb --inputs NAME:0 --outputs NAME:0 --output MODEL.onnx`.
Needs numpy and onnxruntime. Rounds alternate, so that a drift of the machine's speed meets both.
"""
import json
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime


def time_tf1hub(program, graph, name, output, array, threads, repeat):
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file.name, **{name: array})
        command = [program, "bench", graph, "--inputs", file.name, "--fetch", output, "--threads", str(threads),
                   "--warmup", "5", "--repeat", str(repeat), "--json"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])["ms"]


def time_onnxruntime(session, name, array, repeat):
    times = []
    for i in range(repeat + 5):
        begin = time.perf_counter()
        session.run(None, {name: array})
        if i >= 5:
            times.append((time.perf_counter() - begin) * 1e3)
    return times


def main():
    program, graph, onnx, name, output, shape = sys.argv[1:7]
    rounds = int(sys.argv[7]) if len(sys.argv) > 7 else 5
    array = np.random.default_rng(1).random([int(d) for d in shape.split(",")], dtype=np.float32)
    for threads in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        ours, theirs = [], []
        for _ in range(rounds):
            ours += time_tf1hub(program, graph, name, output, array, threads, 100)
            theirs += time_onnxruntime(session, name, array, 100)
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"threads {threads}: tf1hub {a:.3f} ms, ONNX Runtime {b:.3f} ms, ratio of medians {a / b:.2f}, "
              f"of minima {min(ours) / min(theirs):.2f}")


if __name__ == "__main__":
    main()
