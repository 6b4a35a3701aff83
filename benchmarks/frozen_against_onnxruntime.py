#!/usr/bin/env python3
"""Times a frozen graph in tf1hub and in ONNX Runtime, in turns, and prints the ratios.

    benchmarks/frozen_against_onnxruntime.py build/release/bin/tf1hub GRAPH.pb input:0 1,128,128,3 output:0

The Python needs numpy and onnxruntime, and tf2onnx (with TensorFlow) unless --onnx names the
converted graph. Each round runs both engines; a round's value is the median of its runs. Reported
are the medians and minima over all rounds, and the largest difference of the outputs.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tf1hub", help="the program")
    parser.add_argument("graph", help="frozen GraphDef")
    parser.add_argument("input", help="float32 tensor to feed, as input:0")
    parser.add_argument("shape", help="its shape, as 1,128,128,3")
    parser.add_argument("output", help="tensor to fetch")
    parser.add_argument("--onnx", help="the same graph for ONNX Runtime")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=200)
    return parser.parse_args()


def converted(args, folder):
    path = os.path.join(folder, "graph.onnx")
    subprocess.run([sys.executable, "-m", "tf2onnx.convert", "--graphdef", args.graph, "--inputs", args.input,
                    "--outputs", args.output, "--output", path], check=True, stdout=subprocess.DEVNULL)
    return path


def time_tf1hub(args, folder, threads):
    outputs = os.path.join(folder, "outputs.npz")
    command = [args.tf1hub, "bench", args.graph, "--inputs", os.path.join(folder, "inputs.npz"), "--fetch",
               args.output, "--threads", str(threads), "--warmup", "20", "--repeat", str(args.repeat),
               "--outputs", outputs, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    with np.load(outputs) as arrays:
        return json.loads(done.stdout.splitlines()[-1])["ms"], arrays[arrays.files[0]]


def time_onnxruntime(session, args, x):
    milliseconds = []
    for run in range(20 + args.repeat):
        start = time.perf_counter()
        result = session.run([args.output], {args.input: x})[0]
        if run >= 20:
            milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds, result


def main():
    args = arguments()
    x = np.random.default_rng(1).random([int(n) for n in args.shape.split(",")], dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(os.path.join(folder, "inputs.npz"), **{args.input: x})
        onnx = args.onnx or converted(args, folder)
        for threads in (int(n) for n in args.threads.split(",")):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            ours, theirs, ratios = [], [], []
            for _ in range(args.rounds):
                mine, y = time_tf1hub(args, folder, threads)
                peer, z = time_onnxruntime(session, args, x)
                ours += mine
                theirs += peer
                ratios.append(statistics.median(mine) / statistics.median(peer))
            print(f"threads {threads}: tf1hub {statistics.median(ours):.3f} ms (min {min(ours):.3f}), ONNX Runtime "
                  f"{statistics.median(theirs):.3f} ms (min {min(theirs):.3f}), ratio {statistics.median(ratios):.2f} "
                  f"(of minima {min(ours) / min(theirs):.2f}), largest difference {np.abs(y - z).max():.1e}")


if __name__ == "__main__":
    main()
