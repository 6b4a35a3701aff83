#!/usr/bin/env python3
"""Times modules in tf1hub and in TensorFlow, ONNX Runtime and OpenVINO, in turns, and prints a table.

    benchmarks/nets_against_peers.py build/release/bin/tf1hub NETS [NET ...]

NETS has a folder for each net: NET/module, a TF1 Hub module, and inputs NET/SIGNATURE_bBATCH.npz named as the
signature's inputs. What is converted (frozen graph, ONNX) is kept in NET/peers. An engine whose packages are not
installed is left out: TensorFlow 2.15 with tensorflow_hub 0.15; onnxruntime and tf2onnx; openvino. Packages that do
not agree with each other may live in several Pythons: --python openvino=/path/to/python.

Each engine is loaded and warmed up in a process of its own; then they take turns, and the value of a turn is the
median of its runs. Printed are the medians over all turns, in brackets the minima; the ratio of tf1hub to the
fastest peer, as the median of the ratios turn by turn; and the largest difference of outputs, as a share of the
largest value. --cold prints, for new processes that answer once, milliseconds (imports not counted) and peak memory.
"""
import argparse
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

PEERS = ("tensorflow", "onnxruntime", "openvino")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tf1hub", help="the program")
    parser.add_argument("nets", help="folder of nets")
    parser.add_argument("names", nargs="*", help="which of them; all by default")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--signature", help="only this one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a turn takes, about")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON")
    parser.add_argument("--cold", action="store_true", help="the first answer of new processes instead")
    parser.add_argument("--no-outputs", action="store_true", help="do not compare the outputs")
    return parser.parse_args()


# ---- in a peer's process

def quiet_tensorflow(threads):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow.compat.v1 as tf
    tf.disable_v2_behavior()
    tf.enable_resource_variables()
    tf.logging.set_verbosity(tf.logging.ERROR)
    config = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    # The first session of a process decides on its threads, and hub.Module opens one.
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        session.run(tf.constant(0.0))
    return tf, config


def open_module(tf, folder, signature):
    import tensorflow_hub as hub
    module = hub.Module(os.path.join(folder, "module"))
    feeds = {name: tf.placeholder(info.dtype, info.get_shape(), name="in_" + name)
             for name, info in module.get_input_info_dict(signature).items()}
    return feeds, module(feeds, signature=signature, as_dict=True)


def convert(folder, signature):
    """The frozen graph, in ONNX's form too; made once."""
    base = os.path.join(folder, "peers", signature)
    if os.path.exists(base + ".json"):
        return
    os.makedirs(os.path.dirname(base), exist_ok=True)
    tf, config = quiet_tensorflow(2)
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        feeds, fetches = open_module(tf, folder, signature)
        outputs = {name: tf.identity(value, name="out_" + name) for name, value in fetches.items()}
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        graph = tf.graph_util.convert_variables_to_constants(
            session, session.graph_def, [value.op.name for value in outputs.values()])
        names = {"inputs": {k: v.name for k, v in feeds.items()}, "outputs": {k: v.name for k, v in outputs.items()}}
    with open(base + ".pb", "wb") as file:
        file.write(graph.SerializeToString())
    try:
        import tf2onnx
        onnx_model, _ = tf2onnx.convert.from_graph_def(
            graph, input_names=list(names["inputs"].values()), output_names=list(names["outputs"].values()), opset=17)
        with open(base + ".onnx", "wb") as file:
            file.write(onnx_model.SerializeToString())
    except ImportError:
        pass
    with open(base + ".json", "w") as file:
        json.dump(names, file)


def load_tensorflow(folder, signature, threads, inputs):
    tf, config = quiet_tensorflow(threads)
    import tensorflow_hub  # noqa: F401, an import is not counted
    start = time.perf_counter()
    with tf.Graph().as_default() as graph:
        feeds, fetches = open_module(tf, folder, signature)
        session = tf.Session(graph=graph, config=config)
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
    run = session.make_callable([fetches[k] for k in sorted(fetches)], [feeds[k] for k in sorted(feeds)])
    values = [inputs[k] for k in sorted(feeds)]
    return start, lambda: dict(zip(sorted(fetches), run(*values)))


def load_onnxruntime(folder, signature, threads, inputs):
    import onnxruntime
    start = time.perf_counter()
    base = os.path.join(folder, "peers", signature)
    with open(base + ".json") as file:
        names = json.load(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(base + ".onnx", options, providers=["CPUExecutionProvider"])
    feeds = {names["inputs"][k]: v for k, v in inputs.items()}
    outputs = sorted(names["outputs"])
    return start, lambda: dict(zip(outputs, session.run([names["outputs"][k] for k in outputs], feeds)))


def load_openvino(folder, signature, threads, inputs):
    import openvino
    start = time.perf_counter()
    base = os.path.join(folder, "peers", signature)
    with open(base + ".json") as file:
        names = json.load(file)
    core = openvino.Core()
    model = core.read_model(base + ".onnx" if os.path.exists(base + ".onnx") else base + ".pb")
    model.reshape({names["inputs"][k]: v.shape for k, v in inputs.items()})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                                                 "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    feeds = {names["inputs"][k]: v for k, v in inputs.items()}
    places = {k: compiled.output(v) for k, v in names["outputs"].items()}

    def run():
        request.infer(feeds, share_inputs=True)
        return {k: request.get_tensor(place).data for k, place in places.items()}
    return start, run


def peak_mb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def timed(run):
    start = time.perf_counter()
    result = run()
    return (time.perf_counter() - start) * 1e3, result


def work(task):
    """A peer's process: loads, answers once, then runs as often as each line of stdin says."""
    if task["peer"] == "convert":
        convert(task["folder"], task["signature"])
        return
    with np.load(task["inputs"]) as arrays:
        inputs = {k: arrays[k] for k in arrays.files}
    load = {"tensorflow": load_tensorflow, "onnxruntime": load_onnxruntime, "openvino": load_openvino}[task["peer"]]
    start, run = load(task["folder"], task["signature"], task["threads"], inputs)
    outputs = run()
    first_ms = (time.perf_counter() - start) * 1e3
    np.savez(task["outputs"], **{k: np.asarray(v) for k, v in outputs.items()})
    print(json.dumps({"cold_ms": first_ms, "peak_rss_mb": peak_mb()}), flush=True)
    for line in sys.stdin:
        print(json.dumps([timed(run)[0] for _ in range(int(line))]), flush=True)


# ---- in the main process

class Peer:
    def __init__(self, name, python, case, threads, folder):
        self.name = name
        self.outputs = os.path.join(folder, name + ".npz")
        task = {"peer": name, "folder": case["folder"], "signature": case["signature"], "inputs": case["inputs"],
                "threads": threads, "outputs": self.outputs}
        self.process = subprocess.Popen([python, os.path.abspath(__file__), "--work", json.dumps(task)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        self.cold = json.loads(line) if line.startswith("{") else None

    def run(self, repeat):
        self.process.stdin.write(f"{repeat}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    name = "tf1hub"

    def __init__(self, program, case, threads, folder):
        self.outputs = os.path.join(folder, "tf1hub.npz")
        self.command = [program, "bench", os.path.join(case["folder"], "module"), "--signature", case["signature"],
                        "--inputs", case["inputs"], "--threads", str(threads), "--json"]
        result = self.bench(0, 1, "--outputs", self.outputs)
        self.cold = {"cold_ms": result["load_ms"] + result["first_ms"], "peak_rss_mb": result["peak_rss_mb"]}

    def bench(self, warmup, repeat, *more):
        command = self.command + ["--warmup", str(warmup), "--repeat", str(repeat), *more]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])

    def run(self, repeat):
        return self.bench(2, repeat)["ms"]

    def close(self):
        pass


def difference(ours, theirs):
    worst = 0.0
    with np.load(ours) as a, np.load(theirs) as b:
        for name in a.files:
            scale = max(np.abs(b[name]).max(), 1e-30)
            worst = max(worst, float(np.abs(a[name].astype("float64") - b[name]).max() / scale))
    return worst


def find_cases(args):
    batches = [int(b) for b in args.batches.split(",")]
    for folder in sorted(glob.glob(os.path.join(args.nets, "*", ""))):
        net = os.path.basename(os.path.dirname(folder))
        if not os.path.isdir(os.path.join(folder, "module")) or (args.names and net not in args.names):
            continue
        for path in sorted(glob.glob(os.path.join(folder, "*_b*.npz"))):
            signature, batch = re.fullmatch(r"(.*)_b(\d+)\.npz", os.path.basename(path)).groups()
            if signature == "train" or int(batch) not in batches or args.signature not in (None, signature):
                continue
            yield {"net": net, "folder": folder, "signature": signature, "batch": int(batch), "inputs": path}


def measure(args, engines):
    values = {e.name: [] for e in engines}
    ratios = []
    repeats = {e.name: max(3, int(args.seconds * 1e3 / statistics.median(e.run(3)))) for e in engines}
    for _ in range(args.rounds):
        medians = {}
        for engine in engines:
            ms = engine.run(repeats[engine.name])
            values[engine.name] += ms
            medians[engine.name] = statistics.median(ms)
        peers = [v for k, v in medians.items() if k != "tf1hub"]
        if peers:
            ratios.append(medians["tf1hub"] / min(peers))
    return values, statistics.median(ratios) if ratios else None


def cells(engines, peers, text):
    found = {e.name: text(e) for e in engines}
    return " | ".join(found.get(name, "-") for name in ("tf1hub", *peers))


def main():
    if sys.argv[1:2] == ["--work"]:
        return work(json.loads(sys.argv[2]))
    args = arguments()
    peers = [p for p in args.peers.split(",") if p]
    pythons = dict({p: sys.executable for p in PEERS}, **dict(p.split("=", 1) for p in args.python))
    last = "" if args.cold else " ratio | difference |"
    print(f"| net | batch | threads | tf1hub | {' | '.join(peers)} |{last}")
    print("| --- " * (4 + len(peers) + (0 if args.cold else 2)) + "|")
    for case in find_cases(args):
        subprocess.run([pythons["tensorflow"], os.path.abspath(__file__), "--work", json.dumps(
            dict(case, peer="convert"))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for threads in (int(n) for n in args.threads.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                engines = [Ours(args.tf1hub, case, threads, folder)]
                engines += [Peer(p, pythons[p], case, threads, folder) for p in peers]
                engines = [e for e in engines if e.cold]
                row = f"| {case['net']} | {case['batch']} | {threads} | "
                if args.cold:
                    row += cells(engines, peers, lambda e: f"{e.cold['cold_ms']:.0f} ms, {e.cold['peak_rss_mb']:.0f} MB")
                else:
                    values, ratio = measure(args, engines)
                    row += cells(engines, peers,
                                 lambda e: f"{statistics.median(values[e.name]):.2f} ({min(values[e.name]):.2f})")
                    worst = max([difference(engines[0].outputs, e.outputs) for e in engines[1:]
                                 if not args.no_outputs], default=0)
                    row += f" | {ratio:.2f} | {worst:.1e}" if ratio else " | - | -"
                print(row + " |", flush=True)
                for engine in engines:
                    engine.close()


if __name__ == "__main__":
    main()
