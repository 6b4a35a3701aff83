"""Makes a zoo of TF1 Hub modules with the real tensorflow_hub, and records what TensorFlow does with them.

    python zoo.py OUT_DIR [--seed N] [NAME...]    make modules (all, or those whose name contains NAME)
    python zoo.py OUT_DIR --check [NAME...]       load every module again and compare with its golden.json
                                                  (--rewritten: where another program wrote OUT_DIR/NAME/module)
    python zoo.py OUT_DIR --misuse                record misuse.json (needs the modules)

Needs tensorflow-cpu 2.15.1, tensorflow_hub 0.15.0 and tf_slim. The recipes are in
zoo_api.py (the library's interface) and zoo_nets.py (published architectures, small).
The golden format is described in tests/data/zoo/README.md.
"""
import argparse, base64, hashlib, json, os, shutil, subprocess, sys, tempfile, time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.FATAL)
import logging, warnings
logging.getLogger("absl").setLevel(logging.FATAL)
warnings.filterwarnings("ignore")
import tensorflow_hub as hub

PRODUCER = "TensorFlow %s CPU, tensorflow_hub %s" % (tf.__version__, hub.__version__)
FORMAT = 1


def session(graph):
    """A session with one thread that runs the graph as it is, without graph optimisers."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return tf.Session(graph=graph, config=config)


def rng_of(*words):
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.RandomState(int.from_bytes(digest[:4], "little"))


# --- values as JSON plus npz -------------------------------------------------

class Store:
    """Arrays of one golden: numbers go to golden.npz, strings into the JSON."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.arrays = {}

    def text(self, b):
        b = b if isinstance(b, bytes) else str(b).encode()
        root = os.path.join(self.root, "").encode()
        if b.startswith(root):
            return {"module_path": b[len(root):].decode()}
        try:
            return b.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(b).decode()}

    def encode(self, key, value, dtype=None):
        if isinstance(value, tf.SparseTensorValue):
            return {"kind": "sparse", "indices": self.encode(key + ".indices", np.asarray(value.indices, np.int64).reshape(-1, len(value.dense_shape))),
                    "values": self.encode(key + ".values", value.values, dtype),
                    "dense_shape": self.encode(key + ".dense_shape", np.asarray(value.dense_shape, np.int64))}
        if isinstance(value, tf.ragged.RaggedTensorValue):
            splits, v = [], value
            while isinstance(v, tf.ragged.RaggedTensorValue):
                splits.append(v.row_splits)
                v = v.values
            return {"kind": "ragged", "flat_values": self.encode(key + ".flat_values", v, dtype),
                    "row_splits": [self.encode("%s.row_splits%d" % (key, i), s) for i, s in enumerate(splits)]}
        a = np.asarray(value)
        if dtype is None:
            dtype = tf.string if a.dtype.kind in "SUO" else tf.as_dtype(a.dtype)
        dtype = tf.as_dtype(dtype).base_dtype
        out = {"dtype": dtype.name, "shape": list(a.shape)}
        if dtype == tf.string:
            out["strings"] = [self.text(b) for b in a.reshape(-1)]
            return out
        if dtype in (tf.resource, tf.variant):
            return out
        a = a.astype(dtype.as_numpy_dtype, copy=False)
        if dtype == tf.bfloat16:
            a = np.ascontiguousarray(a).view(np.uint16)
        elif a.dtype.fields:  # quantized: (name, [(f, integer)])
            a = np.ascontiguousarray(a).view(a.dtype[0])
        self.arrays[key] = np.array(a, order="C")
        out["npz"] = key
        return out

    def decode(self, e):
        if e.get("kind") == "sparse":
            return tf.SparseTensorValue(self.decode(e["indices"]), self.decode(e["values"]), self.decode(e["dense_shape"]))
        if e.get("kind") == "ragged":
            v = self.decode(e["flat_values"])
            for s in reversed(e["row_splits"]):
                v = tf.ragged.RaggedTensorValue(v, self.decode(s))
            return v
        if e["dtype"] == "string":
            words = []
            for s in e["strings"]:
                if isinstance(s, dict):
                    s = base64.b64decode(s["base64"]) if "base64" in s else os.path.join(self.root, s["module_path"]).encode()
                words.append(s if isinstance(s, bytes) else s.encode())
            out = np.empty(len(words), object)
            out[:] = words
            return out.reshape(e["shape"])
        a = self.arrays[e["npz"]]
        dtype = tf.as_dtype(e["dtype"])
        return a.view(dtype.as_numpy_dtype) if a.dtype != dtype.as_numpy_dtype else a

    def save(self, path):
        np.savez(path, **self.arrays)

    def load(self, path):
        with np.load(path) as f:
            self.arrays = {k: f[k] for k in f.files}


def statistics(value):
    """What is kept of a variable's value: sums, norm and four elements (NaN and infinity as strings)."""
    a = np.asarray(value)
    if a.dtype == object or a.dtype.kind in "SU":
        words = [w if isinstance(w, bytes) else str(w).encode() for w in a.reshape(-1)]
        return {"sha256": hashlib.sha256(b"\0".join(words)).hexdigest(), "count": len(words)}
    if a.dtype.fields:
        a = a.view(a.dtype[0])
    if a.dtype.kind == "c":
        a = np.stack([a.real, a.imag], -1)
    flat = a.astype(np.float64).reshape(-1)
    n = flat.size
    at = sorted({0, n // 3, n // 2, n - 1}) if n else []
    return {"count": n, "sum": float(flat.sum()), "abs_sum": float(np.abs(flat).sum()),
            "l2": float(np.sqrt((flat * flat).sum())), "at": at, "values": [float(flat[i]) for i in at]}


def shape_json(shape):
    return None if shape.rank is None else [d for d in shape.as_list()]


def info_json(info):
    if info.is_sparse:
        return {"kind": "sparse", "dtype": info.dtype.name, "shape": shape_json(info.get_shape())}
    if info.is_composite:
        t = info.type_spec
        return {"kind": "ragged", "dtype": t.dtype.name, "shape": shape_json(t.shape), "ragged_rank": t.ragged_rank,
                "row_splits_dtype": t.row_splits_dtype.name}
    return {"kind": "dense", "dtype": info.dtype.name, "shape": shape_json(info.get_shape())}


def tags_json(tags):
    return sorted(tags or [])


# --- recipes ------------------------------------------------------------------

RECIPES = {}


def recipe(name, about, tier=0):
    def register(f):
        RECIPES[name] = (f, about, tier)
        return f
    return register


class Recipe:
    """One module under construction."""

    def __init__(self, name, seed):
        self.name, self.seed = name, seed
        self.rng = rng_of("zoo", seed, name)
        self.values, self.messages = {}, {}
        self.export_tags, self.module_spec, self.exporter = None, None, None
        self.cases, self.tunings, self.scenarios, self.notes = [], [], [], []
        self.no_trainable_apply = False

    def asset(self, path, lines):
        """A source file for an asset; the working directory is a fresh temporary one."""
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        data = lines if isinstance(lines, bytes) else "\n".join(lines).encode()
        with open(path, "wb") as f:
            f.write(data)
        return path

    def spec(self, module_fn, tags_and_args=None, drop_collections=None, export_tags=None, control_flow_v2=False):
        (tf.enable_control_flow_v2 if control_flow_v2 else tf.disable_control_flow_v2)()
        self.module_spec = hub.create_module_spec(module_fn, tags_and_args, drop_collections)
        tf.disable_control_flow_v2()
        self.export_tags = export_tags if export_tags is not None else (tags_and_args[0][0] if tags_and_args else set())
        return self.module_spec

    def normal(self, *shape):
        return self.rng.randn(*shape).astype("float32")

    def uniform(self, *shape):
        return self.rng.uniform(size=shape).astype("float32")

    def case(self, *steps, signature="default", tags=(), trainable=False, shape_only=(), about="", rtol=None):
        """Runs of one session, one after the other: each step is a dict of inputs."""
        self.cases.append({"about": about, "tags": tags_json(tags), "signature": signature, "trainable": trainable,
                           "shape_only": list(shape_only), "rtol": rtol, "steps": [{"inputs": s} for s in steps or ({},)]})

    def tune(self, inputs, tags=(), signature="default", output="default", optimizer="sgd", rate=0.05, classes=3, steps=5, about="", updates=True):
        """Fine-tuning with one dense layer on `output`; `inputs` is one dict, or a list with one dict per step."""
        self.tunings.append({"about": about, "tags": tags_json(tags), "signature": signature, "output": output, "optimizer": optimizer,
                             "learning_rate": rate, "classes": classes, "count": steps, "run_update_ops": updates,
                             "batches": [inputs] * steps if isinstance(inputs, dict) else inputs})

    def scenario(self, about, modules, calls, feeds, gradients=(), shape_only=()):
        """A consumer's graph: instances of modules, calls, and what they give. See the README for the fields."""
        self.scenarios.append({"about": about, "modules": modules, "calls": calls, "feeds": feeds, "gradients": list(gradients),
                               "shape_only": list(shape_only)})

    def value_of(self, name, shape, dtype):
        """The fixed value of a variable, by the meaning of its name."""
        for key, v in self.values.items():
            if key == name or (key.endswith("*") and name.startswith(key[:-1])) or (key.startswith("*") and name.endswith(key[1:])):
                v = v(shape) if callable(v) else v
                return np.asarray(v, dtype.as_numpy_dtype if dtype != tf.string else object).reshape(shape)
        r = rng_of("value", self.seed, self.name, name)
        last = name.split("/")[-1]
        if dtype == tf.string:
            return np.array(["s%d" % i for i in range(int(np.prod(shape)))], object).reshape(shape)
        if dtype == tf.bool:
            return r.randint(0, 2, shape).astype(bool)
        if not dtype.is_floating:
            if dtype.is_complex:
                return (r.randn(*shape) + 1j * r.randn(*shape)).astype(dtype.as_numpy_dtype)
            return r.randint(0, 100, shape).astype(np.int64).astype(dtype.as_numpy_dtype)
        fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else 1
        if last in ("depthwise_weights",):
            fan_in = int(np.prod(shape[:2]))
        if last in ("gamma", "scale"):
            v = 1 + 0.2 * r.uniform(-1, 1, shape)
        elif last == "moving_variance":
            v = r.uniform(0.5, 1.5, shape)
        elif last in ("beta", "bias", "biases", "b", "moving_mean") or len(shape) < 2:
            v = 0.2 * r.randn(*shape)
        elif "mbedding" in name:
            v = 0.5 * r.randn(*shape)
        else:
            v = r.randn(*shape) * np.sqrt(1.6 / max(1, fan_in))
        return np.asarray(v).astype(dtype.as_numpy_dtype)

    def export(self, path):
        if self.exporter is not None:
            self.exporter(path)
            return
        with tf.Graph().as_default() as graph:
            m = hub.Module(self.module_spec, tags=self.export_tags)
            todo = []
            for name, v in sorted(m.variable_map.items()):
                parts = v if isinstance(v, list) else [v]
                if isinstance(v, list):
                    full = [sum(p.shape.as_list()[0] for p in parts)] + parts[0].shape.as_list()[1:]
                else:
                    full = v.shape.as_list()
                value, row = self.value_of(name, tuple(full), parts[0].dtype.base_dtype), 0
                for p in parts:
                    n = p.shape.as_list()[0] if isinstance(v, list) else 0
                    hole = tf.placeholder(p.dtype.base_dtype, p.shape)
                    todo.append((p.assign(hole, read_value=False) if hasattr(p, "handle") else tf.assign(p, hole).op, hole, value[row:row + n] if isinstance(v, list) else value))
                    row += n
            with session(graph) as sess:
                for assign, hole, value in todo:
                    sess.run(assign, {hole: value})
                m.export(path, sess)


# --- running -------------------------------------------------------------------

def hole_for(name, info):
    name = "feed_" + "".join(c if c.isalnum() else "_" for c in name)
    if info.is_sparse:
        return tf.sparse_placeholder(info.dtype, info.get_shape().as_list() if info.get_shape().rank is not None else None, name=name)
    if info.is_composite:
        t = info.type_spec
        value_shape = t.shape[t.ragged_rank + 1:]
        if t.row_splits_dtype == tf.int64:
            return tf.ragged.placeholder(t.dtype, t.ragged_rank, value_shape, name=name)
        x = tf.placeholder(t.dtype, tf.TensorShape([None]).concatenate(value_shape), name=name + "_values")
        for i in range(t.ragged_rank):
            x = tf.RaggedTensor.from_row_splits(x, tf.placeholder(t.row_splits_dtype, [None], name="%s_splits%d" % (name, i)), validate=False)
        return x
    return tf.placeholder(info.dtype, info.get_shape(), name=name)


def flat_feed(hole, value):
    """Feeds of one value, all dense."""
    if isinstance(value, tf.ragged.RaggedTensorValue):
        out = {}
        while isinstance(value, tf.ragged.RaggedTensorValue):
            out[hole.row_splits] = np.asarray(value.row_splits, hole.row_splits.dtype.as_numpy_dtype)
            hole, value = hole.values, value.values
        out[hole] = value
        return out
    return {hole: value}


def variable_infos(module):
    out = {}
    for name, v in module.variable_map.items():
        parts = v if isinstance(v, list) else [v]
        kind = "resource" if hasattr(parts[0], "handle") else "ref"
        info = {"dtype": parts[0].dtype.base_dtype.name, "kind": kind, "trainable": bool(parts[0].trainable)}
        if isinstance(v, list):
            s = parts[0]._save_slice_info
            info["shape"] = list(s.full_shape)
            info["parts"] = [{"name": p.op.name, "offset": list(p._save_slice_info.var_offset), "shape": p.shape.as_list()} for p in parts]
        else:
            info["shape"] = v.shape.as_list()
        out[name] = info
    return out


def values_of(module, sess):
    out = {}
    for name, v in sorted(module.variable_map.items()):
        out[name] = np.concatenate(sess.run(v)) if isinstance(v, list) else sess.run(v)
    return out


def initialize(sess):
    sess.run(tf.global_variables_initializer())
    sess.run(tf.tables_initializer())


def run_case(spec, case, store, key):
    with tf.Graph().as_default() as graph:
        m = hub.Module(spec, trainable=case["trainable"], tags=set(case["tags"]))
        infos = m.get_input_info_dict(signature=case["signature"])
        holes = {k: hole_for(k, i) for k, i in sorted(infos.items())}
        outs = m(holes or None, signature=case["signature"], as_dict=True)
        dtypes = {k: i.dtype if not i.is_composite or i.is_sparse else i.type_spec.dtype for k, i in m.get_output_info_dict(case["signature"]).items()}
        case["output_shapes"] = {k: shape_json(v.shape) for k, v in sorted(outs.items())}
        with session(graph) as sess:
            initialize(sess)
            before = values_of(m, sess)
            for i, step in enumerate(case["steps"]):
                feed = {}
                for k, v in step["inputs"].items():
                    feed.update(flat_feed(holes[k], v))
                values = sess.run(outs, feed)
                step["outputs"] = {}
                for k in sorted(values):
                    at = "%s.step%d.out.%s" % (key, i, k)
                    e = Store(store.root).encode(at, values[k], dtypes[k]) if k in case["shape_only"] else store.encode(at, values[k], dtypes[k])
                    if k in case["shape_only"]:
                        for part in ("npz", "strings"):
                            e.pop(part, None)
                        e["shape_only"] = True
                    step["outputs"][k] = e
            after = values_of(m, sess)
            same = lambda a, b: a.dtype == b.dtype and a.tobytes() == b.tobytes() if a.dtype != object else (a == b).all()
            case["variables_changed"] = {k: statistics(after[k]) for k in after if not same(np.asarray(before[k]), np.asarray(after[k]))}
    return case


def run_tuning(spec, t, store, key):
    with tf.Graph().as_default() as graph:
        m = hub.Module(spec, trainable=True, tags=set(t["tags"]))
        infos = m.get_input_info_dict(signature=t["signature"])
        holes = {k: hole_for(k, i) for k, i in sorted(infos.items())}
        features = m(holes, signature=t["signature"], as_dict=True)[t["output"]]
        with session(graph) as sess:
            initialize(sess)
            feed = {}
            for k, v in t["batches"][0].items():
                feed.update(flat_feed(holes[k], v))
            shape = sess.run(tf.shape(features), feed)
        rows, width = int(shape[0]), int(np.prod(shape[1:]))
        if "head" not in t:
            r = rng_of("head", key, width)
            t["head"] = {"kernel": (r.randn(width, t["classes"]) / np.sqrt(width)).astype("float32"), "bias": np.zeros(t["classes"], "float32"),
                         "labels": r.randint(0, t["classes"], rows).astype("int64")}
        head = t["head"]
        kernel = tf.get_variable("head/kernel", initializer=head["kernel"], use_resource=True)
        bias = tf.get_variable("head/bias", initializer=head["bias"], use_resource=True)
        logits = tf.matmul(tf.reshape(features, [rows, width]), kernel) + bias
        data_loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant(head["labels"]), logits=logits))
        penalties = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        loss = tf.add_n([data_loss] + penalties)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        running = updates if t["run_update_ops"] else []
        rate = t["learning_rate"]
        optimizer = tf.train.GradientDescentOptimizer(rate) if t["optimizer"] == "sgd" else tf.train.AdamOptimizer(rate)
        variables = tf.trainable_variables()
        pairs = optimizer.compute_gradients(loss, variables)
        with tf.control_dependencies([loss] + running):
            train = optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
        norms = [None if g is None else tf.norm(tf.cast(tf.convert_to_tensor(g), tf.float64)) for g, _ in pairs]
        known = [i for i, n in enumerate(norms) if n is not None]
        t["trainable_variables"] = [v.op.name for v in variables]
        t["update_ops"], t["regularization_losses"] = len(updates), len(penalties)
        t["sparse_gradients"] = [v.op.name for g, v in pairs if isinstance(g, tf.IndexedSlices)]
        with session(graph) as sess:
            initialize(sess)
            t["losses"], t["data_losses"] = [], []
            for i, batch in enumerate(t["batches"]):
                feed = {}
                for k, v in batch.items():
                    feed.update(flat_feed(holes[k], v))
                l, d, n, _ = sess.run([loss, data_loss, [norms[j] for j in known] if i == 0 else [], train], feed)
                if i == 0:
                    t["gradient_norms"] = {v.op.name: None for v in variables}
                    for j, x in zip(known, n):
                        t["gradient_norms"][variables[j].op.name] = float(x)
                t["losses"].append(float(l))
                t["data_losses"].append(float(d))
            after = dict(values_of(m, sess))
            after["head/kernel"], after["head/bias"] = sess.run([kernel, bias])
            t["variables_after"] = {k: statistics(v) for k, v in sorted(after.items())}
    return t


def run_scenario(folder, s, store, key):
    """Builds the consumer's graph that the scenario describes and records what its calls give."""
    with tf.Graph().as_default() as graph:
        modules, results, holes = {}, {}, {}
        for name, value in s["feeds"].items():
            a = np.asarray(value)
            holes[name] = tf.placeholder(tf.string if a.dtype.kind in "SUO" else a.dtype, a.shape, name="feed_" + name)
        for d in s["modules"]:
            path = os.path.join(folder, "module") if d.get("path", ".") == "." else os.path.join(os.path.dirname(folder), d["path"], "module")
            with contextlib_stack(d):
                modules[d["id"]] = hub.Module(path, trainable=d.get("trainable", False), name=d.get("name", "module"), tags=set(d.get("tags", [])))
        get = lambda ref: holes[ref["feed"]] if "feed" in ref else tf.constant(ref["constant"], dtype=ref.get("dtype")) if "constant" in ref else results[ref["call"]][ref.get("output", "default")]
        for c in s["calls"]:
            m, signature = modules[c["module"]], c.get("signature", "default")
            ins = {k: get(r) for k, r in c.get("inputs", {}).items()}
            with contextlib_stack(c):
                if "while" in c:      # apply to its own output so many times, in a while loop
                    (k, x), = ins.items()
                    n = get(c["while"])
                    y = tf.while_loop(lambda i, _: i < n, lambda i, a: [i + 1, m({k: a}, signature=signature)], [0, x])[1]
                    results[c["id"]] = {"default": y}
                elif "cond" in c:     # apply if the predicate holds, else pass the input on
                    (k, x), = ins.items()
                    y = tf.cond(get(c["cond"]), lambda: m({k: x}, signature=signature), lambda: tf.identity(x))
                    results[c["id"]] = {"default": y}
                elif "map" in c:      # apply to each element of axis 0
                    (k, x), = ins.items()
                    results[c["id"]] = {"default": tf.map_fn(lambda a: m({k: a}, signature=signature), x, dtype=m.get_output_info_dict(signature)["default"].dtype)}
                else:
                    results[c["id"]] = m(ins or None, signature=signature, as_dict=True)
        s["variables"] = {d["id"]: [v.op.name for v in modules[d["id"]].variables] for d in s["modules"]}
        s["collections"] = collections_json(graph)
        with session(graph) as sess:
            grads = []
            for g in s["gradients"]:
                y = get(g["of"])
                if "feed" in g["wrt"]:
                    x = holes[g["wrt"]["feed"]]
                else:
                    x = modules[g["wrt"]["module"]].variable_map[g["wrt"]["variable"]]
                d = tf.gradients(y, x)[0]
                grads.append(tf.convert_to_tensor(d))
            initialize(sess)
            feed = {holes[k]: v for k, v in s["feeds"].items()}
            values, slopes = sess.run([results, grads], feed)
            s["outputs"] = {c: {k: store.encode("%s.out.%s.%s" % (key, c, k), v) for k, v in sorted(o.items())} for c, o in values.items()}
            for g, v in zip(s["gradients"], slopes):
                g["value"] = store.encode("%s.gradient%d" % (key, s["gradients"].index(g)), v)
    return s


import contextlib


@contextlib.contextmanager
def contextlib_stack(d):
    with contextlib.ExitStack() as stack:
        if d.get("name_scope"):
            stack.enter_context(tf.name_scope(d["name_scope"]))
        if d.get("variable_scope"):
            stack.enter_context(tf.variable_scope(d["variable_scope"]))
        yield


def collections_json(graph):
    out = {}
    for k in sorted(k for k in graph.get_all_collection_keys() if isinstance(k, str)):
        names = []
        for v in graph.get_collection(k):
            name = v.name
            names.append(name[:-2] if k in ("variables", "trainable_variables", "model_variables") and name.endswith(":0") else name)
        if names:
            out[k] = names
    return out


def message_text(raw, kind):
    out = {"base64": base64.b64encode(raw).decode()}
    if kind:
        out["type"] = kind
    return out


def files_json(path):
    out = {}
    for folder, _, names in os.walk(path):
        for n in names:
            p = os.path.join(folder, n)
            with open(p, "rb") as f:
                data = f.read()
            out[os.path.relpath(p, path)] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return dict(sorted(out.items()))


def record_variant(spec, tags, store, key, kinds):
    v = {"tags": tags_json(tags), "signatures": {}, "attached_messages": {}}
    for s in sorted(spec.get_signature_names(tags)):
        v["signatures"][s] = {"inputs": {k: info_json(i) for k, i in sorted(spec.get_input_info_dict(s, tags).items())},
                              "outputs": {k: info_json(i) for k, i in sorted(spec.get_output_info_dict(s, tags).items())}}
    meta = [m for m in spec._saved_model_handler.meta_graphs if set(m.meta_info_def.tags) == set(tags)][0]
    for raw in meta.collection_def["hub_module_attachments"].bytes_list.value if "hub_module_attachments" in meta.collection_def else ():
        from tensorflow_hub import module_attachment_pb2
        a = module_attachment_pb2.ModuleAttachment.FromString(raw)
        v["attached_messages"][a.key] = message_text(a.value, kinds.get(a.key))
    v["graph"] = {"nodes": len(meta.graph_def.node), "functions": len(meta.graph_def.library.function),
                  "ops": sorted({n.op for n in meta.graph_def.node} | {n.op for f in meta.graph_def.library.function for n in f.node_def}),
                  "collections": sorted(meta.collection_def)}
    v["instances"] = []
    for trainable in (False, True):
        with tf.Graph().as_default() as graph:
            m = hub.Module(spec, trainable=trainable, tags=set(tags))
            one = {"trainable": trainable, "variables": [x.op.name for x in m.variables],
                   "collections": collections_json(graph)}
            if not trainable:
                v["variable_map"] = variable_infos(m)
            names = [s for s in spec.get_signature_names(tags)]
            s = "default" if "default" in names else sorted(names)[0]
            holes = {k: hole_for(k, i) for k, i in sorted(m.get_input_info_dict(s).items())}
            try:
                outs = m(holes or None, signature=s, as_dict=True)
                one["after_call"] = {"signature": s, "collections": collections_json(graph),
                                     "scope": None}
                prefix = "module_apply_%s" % s.replace(":", "_")
                one["after_call"]["scope"] = prefix + "/"
            except Exception as e:
                one["after_call"] = {"signature": s, "error": type(e).__name__}
            losses = graph.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
            with session(graph) as sess:
                initialize(sess)
                if losses:
                    one["regularization_losses"] = [{"name": l.name, "value": float(x)} for l, x in zip(losses, sess.run(losses))]
                if not trainable:
                    for name, value in values_of(m, sess).items():
                        v["variable_map"][name]["value"] = statistics(value)
            v["instances"].append(one)
    v["variable_map"] = dict(sorted(v["variable_map"].items()))
    return v


def record(folder, plan):
    """Runs a plan (cases, tunings, scenarios with Python values) on folder/module; returns (golden, store)."""
    path = os.path.join(folder, "module")
    store = Store(path)
    spec = hub.load_module_spec(path)
    golden = {"format": FORMAT, "name": os.path.basename(folder), "about": plan["about"], "tier": plan["tier"], "notes": plan["notes"], "producer": PRODUCER,
              "files": files_json(path), "variants": [], "cases": [], "fine_tuning": [], "scenarios": []}
    for tags in spec.get_tags():
        golden["variants"].append(record_variant(spec, tags, store, "variant%d" % len(golden["variants"]), plan["messages"]))
    for i, c in enumerate(plan["cases"]):
        key = "case%d" % i
        run_case(spec, c, store, key)
        for j, step in enumerate(c["steps"]):
            dtypes = {k: x.dtype if not x.is_composite or x.is_sparse else x.type_spec.dtype for k, x in spec.get_input_info_dict(c["signature"], set(c["tags"])).items()}
            step["inputs"] = {k: store.encode("%s.step%d.in.%s" % (key, j, k), v, dtypes[k]) for k, v in sorted(step["inputs"].items())}
        golden["cases"].append(c)
    for i, t in enumerate(plan["tunings"]):
        key = "tune%d" % i
        run_tuning(spec, t, store, key)
        dtypes = {k: x.dtype if not x.is_composite or x.is_sparse else x.type_spec.dtype for k, x in spec.get_input_info_dict(t["signature"], set(t["tags"])).items()}
        same = all(b is t["batches"][0] for b in t["batches"])
        t["batches"] = [{k: store.encode("%s.batch%d.%s" % (key, j, k), v, dtypes[k]) for k, v in sorted(b.items())} for j, b in enumerate(t["batches"][:1] if same else t["batches"])]
        t["head"] = {k: store.encode("%s.head.%s" % (key, k), v) for k, v in t["head"].items()}
        golden["fine_tuning"].append(t)
    for i, s in enumerate(plan["scenarios"]):
        key = "scenario%d" % i
        run_scenario(folder, s, store, key)
        s["feeds"] = {k: store.encode("%s.feed.%s" % (key, k), v) for k, v in s["feeds"].items()}
        golden["scenarios"].append(s)
    return golden, store


def plan_of(golden, store):
    """The plan again, out of a golden."""
    cases = [{"about": c["about"], "tags": c["tags"], "signature": c["signature"], "trainable": c["trainable"], "shape_only": c["shape_only"], "rtol": c["rtol"],
              "steps": [{"inputs": {k: store.decode(e) for k, e in s["inputs"].items()}} for s in c["steps"]]} for c in golden["cases"]]
    tunings = []
    for t in golden["fine_tuning"]:
        batches = [{k: store.decode(e) for k, e in b.items()} for b in t["batches"]]
        tunings.append({**{k: t[k] for k in ("about", "tags", "signature", "output", "optimizer", "learning_rate", "classes", "count", "run_update_ops")},
                        "batches": batches * t["count"] if len(batches) == 1 else batches, "head": {k: store.decode(e) for k, e in t["head"].items()}})
    scenarios = [{"about": s["about"], "modules": s["modules"], "calls": s["calls"], "shape_only": s["shape_only"],
                  "gradients": [{"of": g["of"], "wrt": g["wrt"]} for g in s["gradients"]],
                  "feeds": {k: store.decode(e) for k, e in s["feeds"].items()}} for s in golden["scenarios"]]
    kinds = {k: m.get("type") for v in golden["variants"] for k, m in v["attached_messages"].items()}
    return {"about": golden["about"], "tier": golden["tier"], "notes": golden["notes"], "messages": kinds, "cases": cases, "tunings": tunings, "scenarios": scenarios}


def differences(a, b, where, sa, sb, out, ignore=()):
    if isinstance(a, dict) and isinstance(b, dict):
        a, b = ({k: v for k, v in x.items() if k not in ignore} for x in (a, b))
        if a.keys() != b.keys():
            out.append("%s: keys %s / %s" % (where, sorted(a), sorted(b)))
        for k in a.keys() & b.keys():
            if k == "npz":
                x, y = sa.arrays[a[k]], sb.arrays[b[k]]
                ok = x.shape == y.shape and x.dtype == y.dtype and (x.tobytes() == y.tobytes() or (x.dtype.kind in "fc" and np.allclose(x, y, 1e-6, 1e-7, equal_nan=True)))
                if not ok:
                    out.append("%s: arrays differ" % where)
            else:
                differences(a[k], b[k], where + "/" + k, sa, sb, out, ignore)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) != len(b):
            out.append("%s: %d / %d" % (where, len(a), len(b)))
        for i, (x, y) in enumerate(zip(a, b)):
            differences(x, y, "%s[%d]" % (where, i), sa, sb, out, ignore)
    elif isinstance(a, float) and isinstance(b, float):
        if not (a == b or (a != a and b != b) or abs(a - b) <= 1e-6 * max(1e-3, abs(a), abs(b))):
            out.append("%s: %r / %r" % (where, a, b))
    elif a != b:
        out.append("%s: %r / %r" % (where, a, b))


def plain(x):
    """JSON cannot hold NaN and infinities: they become strings."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, float) and not np.isfinite(x):
        return str(x)
    if isinstance(x, (np.integer, np.floating, np.bool_)):
        return x.item()
    return x


def make(out, name, seed):
    f, about, tier = RECIPES[name]
    folder = os.path.abspath(os.path.join(out, name))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    here, work = os.getcwd(), tempfile.mkdtemp()
    os.chdir(work)
    try:
        z = Recipe(name, seed)
        z.zoo = os.path.abspath(out if os.path.isabs(out) else os.path.join(here, out))
        f(z)
        z.export(os.path.join(folder, "module"))
    finally:
        os.chdir(here)
        shutil.rmtree(work)
    golden, store = record(folder, {"about": about, "tier": tier, "notes": z.notes, "messages": z.messages, "cases": z.cases, "tunings": z.tunings, "scenarios": z.scenarios})
    with open(os.path.join(folder, "golden.json"), "w") as g:
        json.dump(plain(golden), g, indent=1, sort_keys=False, ensure_ascii=False)
        g.write("\n")
    store.save(os.path.join(folder, "golden.npz"))
    return golden


REWRITTEN = ("files", "graph")  # what another writer of the same module may do differently


def check(out, name, rewritten=False):
    folder = os.path.abspath(os.path.join(out, name))
    with open(os.path.join(folder, "golden.json")) as f:
        old = json.load(f)
    store = Store(os.path.join(folder, "module"))
    store.load(os.path.join(folder, "golden.npz"))
    new, fresh = record(folder, plan_of(old, store))
    found = []
    differences(old, plain(new), "", store, fresh, found, REWRITTEN if rewritten else ())
    return found


def size_of(folder):
    return sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(folder) for n in names)


def main(argv=None):
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("names", nargs="*")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--check", action="store_true")
    p.add_argument("--rewritten", action="store_true", help="with --check: another program wrote the modules; compare what they mean, not their bytes")
    p.add_argument("--misuse", action="store_true")
    p.add_argument("--trace", action="store_true")
    a = p.parse_intermixed_args(argv)
    if a.misuse:
        import zoo_misuse
        zoo_misuse.write(os.path.abspath(a.out))
        return
    names = [n for n in RECIPES if not a.names or any(w in n for w in a.names)]
    bad = 0
    for n in names:
        start = time.time()
        try:
            if a.check:
                found = check(a.out, n, a.rewritten)
                bad += bool(found)
                print("%-40s %s" % (n, "same" if not found else "DIFFERS: " + "; ".join(found[:5])), flush=True)
            else:
                g = make(a.out, n, a.seed)
                print("%-40s %8d bytes, %d variants, %d cases, %d fine-tunings, %d scenarios, %.1f s" % (
                    n, size_of(os.path.join(a.out, n)), len(g["variants"]), len(g["cases"]), len(g["fine_tuning"]), len(g["scenarios"]), time.time() - start), flush=True)
        except Exception as e:
            bad += 1
            if a.trace:
                raise
            print("%-40s FAILED %s: %s" % (n, type(e).__name__, str(e)[:600]), flush=True)
    print("%d modules, %d bad, %d bytes in all" % (len(names), bad, size_of(a.out)))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    sys.modules["zoo"] = sys.modules["__main__"]
    import zoo_api, zoo_nets
    main()
