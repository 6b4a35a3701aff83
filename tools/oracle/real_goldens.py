"""Runs models from the wild with real TensorFlow and writes what they give.

    python real_goldens.py REAL_DIR [--only PART_OF_PATH]

Every model folder gets a folder `golden/` in the form that tests/data/zoo/README.md describes
(collected as runs with one .npz each, then turned into it by golden_format.py).

Needs tensorflow-cpu 2.15.1, tensorflow_hub 0.15, tensorflow_text.
"""
import argparse, base64, csv, glob, gzip, json, math, os, re, struct, sys, wave, zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import golden_format
import record
import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow as tf2
import tensorflow_hub as hub
from tensorflow.python.eager import context as eager_context
from tensorflow.python.saved_model import loader_impl
from tensorflow.core.protobuf import tensor_bundle_pb2

tf2.config.threading.set_intra_op_parallelism_threads(1)  # the first device made decides, also for sessions
tf2.config.threading.set_inter_op_parallelism_threads(1)
PRODUCER = "TensorFlow %s CPU, tensorflow_hub %s" % (tf.__version__, hub.__version__)
LIMIT = 60000  # elements of one output stored in full; above it, a sample
golden_folder = lambda folder: os.path.join(folder, "golden")  # where a model's results go
file_base = None  # what "file" and "model" are relative to; None: the golden folder


# --- values ---

def json_strings(value):
    out = []
    for v in np.asarray(value, object).reshape(-1):
        v = v if isinstance(v, bytes) else str(v).encode()
        try:
            text = v.decode()
            out.append(text if text.isprintable() else {"base64": base64.b64encode(v).decode()})
        except UnicodeDecodeError:
            out.append({"base64": base64.b64encode(v).decode()})
    return out


def dtype_name(dtype):
    return tf.as_dtype(dtype).base_dtype.name


def stride_for(shape, count, limit):
    k = -(-count // limit)
    last = [d for d in shape if d > 1][-1:] or [1]
    while math.gcd(k, last[0]) != 1:
        k += 1
    return k


class Affine:
    """A float32 input kept as bytes: u8 * scale + offset."""

    def __init__(self, u8, scale, offset):
        self.u8, self.scale, self.offset = u8, np.float32(scale), np.float32(offset)
        self.value = u8.astype(np.float32) * self.scale + self.offset


class Formula:
    """A float32 input made by formula, too large to keep: synthetic(name, shape) * scale."""

    def __init__(self, name, shape, scale):
        self.name, self.scale = name, np.float32(scale)
        self.value = synthetic(name, shape) * self.scale


class FromFile:
    """A scalar string input that is a file's contents."""

    def __init__(self, path, value=None, note=None):
        self.path, self.note = path, note
        self.value = open(path, "rb").read() if value is None else value


def plain(v):
    return v.value if isinstance(v, (Affine, Formula, FromFile)) else v


class Golden:
    def __init__(self, folder, kind, model=".", **more):
        self.folder = golden_folder(folder)
        os.makedirs(self.folder, exist_ok=True)
        if file_base:
            model = os.path.relpath(os.path.join(folder, "golden", model), file_base)
        self.json = dict(producer=PRODUCER, kind=kind, model=model, **more)
        self.json["runs"] = []

    def _put(self, store, key, name, value, tensor=None, limit=None, dtype=None):
        raw = plain(value)
        a = np.asarray(raw)
        entry = {"name": name}
        if tensor:
            entry["tensor"] = tensor
        is_text = a.dtype.kind in "SUO"
        entry["dtype"] = "string" if is_text else dtype or dtype_name(a.dtype)
        entry["shape"] = list(a.shape)
        if isinstance(value, FromFile):
            entry["file"] = os.path.relpath(value.path, file_base or self.folder)
            if value.note:
                entry["decode"] = value.note
        elif isinstance(value, Formula):
            entry.update(formula="synthetic_weights", formula_name=value.name, scale=float(value.scale))
        elif isinstance(value, Affine):
            store[key] = value.u8
            entry.update(array=key, scale=float(value.scale), offset=float(value.offset))
        elif is_text:
            entry["strings"] = json_strings(a)
        else:
            if a.dtype == tf.bfloat16.as_numpy_dtype:
                a = a.astype(np.float32)
            if limit and a.size > limit:
                k = stride_for(a.shape, a.size, limit)
                f = a.reshape(-1)
                store[key] = np.ascontiguousarray(f[::k])
                entry["sample"] = {"stride": k}
                entry["sum"] = float(np.sum(f.astype(np.float64)))
                entry["abs_max"] = float(np.max(np.abs(f.astype(np.float64))))
            else:
                store[key] = np.ascontiguousarray(a)
            entry["array"] = key
        return entry

    def run(self, name, inputs, outputs, tolerance=(1e-4, 1e-5), input_tensors=None, output_tensors=None,
            feeds=None, limit=LIMIT, shape_only=(), **more):
        """inputs, outputs, feeds: dicts of name to value."""
        store, r = {}, dict(name=name, **more)
        it, ot = input_tensors or {}, output_tensors or {}
        r["inputs"] = [self._put(store, "in%d" % i, k, v, it.get(k)) for i, (k, v) in enumerate(sorted(inputs.items()))]
        if feeds:
            r["feeds"] = [self._put(store, "feed%d" % i, k, v) for i, (k, v) in enumerate(sorted(feeds.items()))]
        r["outputs"] = []
        for i, (k, v) in enumerate(sorted(outputs.items())):
            if k in shape_only:
                a = np.asarray(v)
                r["outputs"].append({"name": k, "dtype": dtype_name(a.dtype), "shape": list(a.shape), "shape_only": True})
                continue
            e = self._put(store, "out%d" % i, k, v, ot.get(k), limit)
            a = np.asarray(v)
            if a.dtype.kind in "fc":
                finite = np.abs(a[np.isfinite(a)]).astype(np.float64)
                e["rtol"], e["atol"] = tolerance[0], float(tolerance[1] * max(1e-3, finite.max() if finite.size else 1.0))
            r["outputs"].append(e)
        if store:
            r["values"] = name.replace("/", "_").replace(":", "_") + ".npz"
            np.savez(os.path.join(self.folder, r["values"]), **store)
            size = os.path.getsize(os.path.join(self.folder, r["values"]))
            if size > 300000:
                print("  large: %s %d" % (r["values"], size))
        self.json["runs"].append(r)
        return r

    def save(self):
        with open(os.path.join(self.folder, "golden.json"), "w") as f:
            json.dump(self.json, f, indent=1, ensure_ascii=False, sort_keys=False)
            f.write("\n")
        print("%s: %d runs" % (self.folder, len(self.json["runs"])), flush=True)


def image_u8(seed, *shape):
    """A seeded image that is not plain noise: smooth waves with a little noise."""
    r = np.random.RandomState(seed)
    h, w, c = shape[-3:]
    out = np.zeros(shape, np.float64)
    flat = out.reshape((-1, h, w, c))
    y, x = np.mgrid[0:h, 0:w]
    for b in range(flat.shape[0]):
        for ch in range(c):
            for _ in range(4):
                fy, fx, p = r.uniform(-.25, .25), r.uniform(-.25, .25), r.uniform(0, 6.3)
                flat[b, :, :, ch] += np.sin(fy * y + fx * x + p)
    out = (out / 8 + .5) * 255 + r.randn(*shape) * 12
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


# --- bundle index files (a LevelDB table), for dtypes, shards and checksums ---

def _varint(b, p):
    v = s = 0
    while True:
        c = b[p]
        p += 1
        v |= (c & 127) << s
        s += 7
        if c < 128:
            return v, p


def _snappy(b):
    n, p = _varint(b, 0)
    out = bytearray()
    while p < len(b):
        tag = b[p]
        p += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                k = size - 59
                size = int.from_bytes(b[p:p + k], "little")
                p += k
            out += b[p:p + size + 1]
            p += size + 1
        else:
            if tag & 3 == 1:
                size, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | b[p]
                p += 1
            else:
                k = 2 if tag & 3 == 2 else 4
                size, back = (tag >> 2) + 1, int.from_bytes(b[p:p + k], "little")
                p += k
            for _ in range(size):
                out.append(out[-back])
    assert len(out) == n
    return bytes(out)


def _block(data, offset, size):
    b = data[offset:offset + size]
    if data[offset + size] == 1:
        b = _snappy(b)
    restarts = struct.unpack("<I", b[-4:])[0]
    end, p, key = len(b) - 4 - 4 * restarts, 0, b""
    while p < end:
        shared, p = _varint(b, p)
        fresh, p = _varint(b, p)
        size, p = _varint(b, p)
        key = key[:shared] + b[p:p + fresh]
        p += fresh
        yield key, b[p:p + size]
        p += size


def bundle_index(path):
    """(header, {name: BundleEntryProto}, compressed?) of a .index file."""
    data = open(path, "rb").read()
    _, p = _varint(data[-48:], 0)
    _, p = _varint(data[-48:], p)
    off, p = _varint(data[-48:], p)
    size, _ = _varint(data[-48:], p)
    header, entries, snappy = None, {}, data[off + size] == 1
    for _, handle in _block(data, off, size):
        o, p = _varint(handle, 0)
        s, _ = _varint(handle, p)
        snappy = snappy or data[o + s] == 1
        for k, v in _block(data, o, s):
            if k == b"":
                header = tensor_bundle_pb2.BundleHeaderProto.FromString(v)
            else:
                entries[k.decode()] = tensor_bundle_pb2.BundleEntryProto.FromString(v)
    return header, entries, snappy


def describe_bundle(prefix, values=True):
    header, entries, snappy = bundle_index(prefix + ".index")
    reader = tf.train.load_checkpoint(prefix) if values else None
    tensors = []
    for name in sorted(entries):
        e = entries[name]
        t = {"name": name, "dtype": dtype_name(e.dtype), "shape": [d.size for d in e.shape.dim], "shard": e.shard_id,
             "offset": e.offset, "size": e.size, "masked_crc32c": e.crc32c}
        if len(e.slices):
            t["slices"] = len(e.slices)
        if values:
            a = reader.get_tensor(name)
            if not hasattr(a, "dtype") or a.dtype.kind in "SUO":
                t["first"] = json_strings(a)[:4]
            else:
                flat = a.reshape(-1)
                t["first"] = [x.item() for x in flat[:8]]
                if a.dtype.kind in "fiu" and flat.size:
                    t["sum"] = float(np.sum(flat.astype(np.float64)))
                    t["abs_max"] = float(np.max(np.abs(flat.astype(np.float64))))
        tensors.append(t)
    return {"prefix": os.path.basename(prefix), "shards": header.num_shards, "snappy_blocks": bool(snappy),
            "tensors": tensors}


# --- hub modules ---

def json_shape(shape):
    return None if shape.rank is None else [None if d is None else int(d) for d in shape.as_list()]


def info_json(infos):
    return {k: {"dtype": v.dtype.name, "shape": json_shape(v.get_shape()), "sparse": bool(v.is_sparse)}
            for k, v in sorted(infos.items())}


def describe_spec(path, spec):
    out = []
    saved = loader_impl.parse_saved_model(path)
    for tags in sorted(spec.get_tags(), key=sorted):
        meta = [m for m in saved.meta_graphs if set(m.meta_info_def.tags) == set(tags)][0]
        with tf.Graph().as_default() as g:
            m = hub.Module(spec, trainable=True, tags=set(tags))
            vmap = {}
            for k, v in sorted(m.variable_map.items()):
                parts = v if isinstance(v, list) else [v]
                vmap[k] = {"dtype": parts[0].dtype.base_dtype.name, "shape": json_shape(parts[0].shape) if len(parts) == 1
                           else [json_shape(p.shape) for p in parts]}
            trainable = sorted(v.op.name.split("/", 1)[1] for v in tf.trainable_variables())
            reg = len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
            upd = len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        attached = {}
        for key in ("hub_module_attachments",):
            if key in meta.collection_def:
                for item in meta.collection_def[key].bytes_list.value:
                    from tensorflow_hub import module_attachment_pb2
                    at = module_attachment_pb2.ModuleAttachment.FromString(item)
                    attached[at.key] = base64.b64encode(at.value).decode()
        out.append({
            "tags": sorted(tags), "nodes": len(meta.graph_def.node),
            "collections": sorted(meta.collection_def),
            "signatures": {s: {"inputs": info_json(spec.get_input_info_dict(s, tags)),
                               "outputs": info_json(spec.get_output_info_dict(s, tags))}
                           for s in sorted(spec.get_signature_names(tags))},
            "variable_map": vmap, "trainable_variables_when_trainable": trainable,
            "regularization_losses_at_creation": reg, "update_ops_at_creation": upd,
            "attached_messages_base64": attached})
    return out


def module_outputs(path, tags, signature, inputs, feeds=None, extra=(), trainable=False, assign=None):
    """Applies the module in a fresh graph; feeds and extra are names in the module's own graph.

    Returns outputs, {extra name: value}. `assign`: {variable: value} instead of the module's own values."""
    feeds = feeds or {}
    with tf.Graph().as_default() as g:
        tf.set_random_seed(7)
        m = hub.Module(path, trainable=trainable, tags=set(tags))
        ins = {k: tf.placeholder(i.dtype, i.get_shape(), name="feed_" + k.replace("/", "_"))
               for k, i in m.get_input_info_dict(signature).items()}
        out = m(ins, signature=signature, as_dict=True)
        scope = "module_apply_" + signature
        fd = {ins[k]: plain(v) for k, v in inputs.items()}
        fd.update({g.get_tensor_by_name("%s/%s" % (scope, k)): v for k, v in feeds.items()})
        with record.session(g) as s:
            start(s, m, assign)
            more = {e: g.get_tensor_by_name("%s/%s" % (scope, e)) for e in extra}
            return s.run([out, more], fd)


def start(s, module, assign=None):
    if assign is None:
        s.run(tf.global_variables_initializer())
    else:
        for k, v in module.variable_map.items():
            v.load(assign[k], s)
    s.run(tf.tables_initializer())


def fine_tune(golden, name, path, tags, signature, inputs, output, feeds=None, rate=0.01, loss_kind="mean_square",
              after=None, limit=128, assign=None):
    """One SGD step on mean(output^2) (or mean(output)): gradients of every trainable variable."""
    feeds = feeds or {}
    with tf.Graph().as_default() as g:
        tf.set_random_seed(7)
        m = hub.Module(path, trainable=True, tags=set(tags))
        ins = {k: tf.placeholder(i.dtype, i.get_shape()) for k, i in m.get_input_info_dict(signature).items()}
        out = m(ins, signature=signature, as_dict=True)
        y = out[output]
        loss = tf.reduce_mean(tf.square(y)) if loss_kind == "mean_square" else -tf.reduce_mean(y)
        names = {v.op.name: k for k, v in m.variable_map.items() if not isinstance(v, list)}
        variables = tf.trainable_variables()
        grads = tf.gradients(loss, variables)
        dense = {names[v.op.name]: tf.convert_to_tensor(d) for v, d in zip(variables, grads) if d is not None}
        step = tf.train.GradientDescentOptimizer(rate).apply_gradients(
            [(d, v) for d, v in zip(grads, variables) if d is not None]) if dense else None
        scope = "module_apply_" + signature
        fd = {ins[k]: plain(v) for k, v in inputs.items()}
        fd.update({g.get_tensor_by_name("%s/%s" % (scope, k)): v for k, v in feeds.items()})
        r = {"name": name, "tags": sorted(tags), "signature": signature, "same_values_as_run": after,
             "loss": "mean(square(%s))" % output if loss_kind == "mean_square" else "-mean(%s)" % output,
             "optimizer": "gradient descent", "learning_rate": rate,
             "regularization_losses": len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)),
             "update_ops": len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))}
        store = {}
        with record.session(g) as s:
            start(s, m, assign)
            r["loss_before"], got = (lambda a: (float(a[0]), a[1]))(s.run([loss, dense], fd))
            r["without_gradient"] = sorted(set(names[v.op.name] for v in variables) - set(dense))
            r["gradients"] = []
            for i, k in enumerate(sorted(got)):
                e = golden._put(store, "g%d" % i, k, got[k], limit=limit)
                f = got[k].astype(np.float64)
                e["sum"], e["abs_max"], e["l2"] = float(f.sum()), float(np.abs(f).max()), float(np.sqrt((f * f).sum()))
                e["rtol"], e["atol"] = 1e-3, float(2e-5 * max(1e-6, np.abs(f).max()))
                r["gradients"].append(e)
            if step is not None:
                s.run(step, fd)
                r["loss_after"] = float(s.run(loss, fd))
        r["values"] = name + ".npz"
        np.savez(os.path.join(golden.folder, r["values"]), **store)
        golden.json.setdefault("fine_tune", []).append(r)


def hub_load_facts(path):
    """What hub.load (TF2 behaviour, eager) gives for the module."""
    out = []
    with eager_context.eager_mode():
        for tags in sorted(set(tuple(sorted(t)) for t in hub.load_module_spec(path).get_tags())):
            o = hub.load(path, tags=list(tags))
            out.append({"tags": list(tags), "signatures": {
                k: {"inputs": {n: {"dtype": t.dtype.name, "shape": json_shape(t.shape)} for n, t in sorted(f.structured_input_signature[1].items())},
                    "outputs": {n: {"dtype": t.dtype.name, "shape": json_shape(t.shape)} for n, t in sorted(f.structured_outputs.items())}}
                for k, f in sorted(o.signatures.items())},
                "variables": [{"name": v.name, "shape": json_shape(v.shape)} for v in o.variables],
                "trainable_variables": len(o.trainable_variables) if hasattr(o, "trainable_variables") else None})
    return out


def hub_golden(folder, with_bundle=True):
    spec = hub.load_module_spec(folder)
    g = Golden(folder, "hub_module", "..")
    g.json["meta_graphs"] = describe_spec(folder, spec)
    index = os.path.join(folder, "variables", "variables")
    if os.path.exists(index + ".index"):
        g.json["bundle"] = describe_bundle(index, with_bundle)
    if with_bundle:
        try:
            g.json["hub_load"] = hub_load_facts(folder)
        except Exception as e:
            g.json["hub_load_error"] = "%s: %s" % (type(e).__name__, str(e)[:300])
    return g, spec


def synthetic(name, shape):
    """Weights by formula for a module whose own weights are absent: see golden.json's `synthetic_weights`."""
    n = int(np.prod(shape)) if shape else 1
    h = (np.arange(n, dtype=np.uint64) * 2654435761 + zlib.crc32(name.encode())) & 0xffffffff
    h ^= h >> np.uint64(15)
    h = (h * 2246822519) & 0xffffffff
    h ^= h >> np.uint64(13)
    h = (h * 3266489917) & 0xffffffff
    h ^= h >> np.uint64(16)
    u = h.astype(np.float64) / 4294967296.0
    last = name.rsplit("/", 1)[-1]
    if last == "moving_variance":
        v = .5 + u
    elif last == "gamma":
        v = .8 + .4 * u
    elif last in ("moving_mean", "beta", "biases", "bias", "output_bias") or len(shape) < 2:
        v = (u - .5) * .2
    else:
        depthwise = last == "depthwise_weights"
        fan = int(np.prod(shape[:2] if depthwise else shape[:-1]))
        v = (2 * u - 1) * math.sqrt((6.0 if len(shape) == 4 else 3.0) / fan)
    return v.astype(np.float32).reshape(shape)


SYNTHETIC_TEXT = (
    "The module's own weights are absent. Each variable's float32 elements i = 0, 1, ... (row-major) are made of its name: "
    "32-bit unsigned arithmetic, c = CRC-32 (zlib) of the name: h = i * 2654435761 + c; h ^= h >> 15; h *= 2246822519; "
    "h ^= h >> 13; h *= 3266489917; h ^= h >> 16; u = h / 2^32 (double). By the part of the name after the last '/': "
    "moving_variance: 0.5 + u; gamma: 0.8 + 0.4 u; moving_mean, beta, biases, bias, output_bias, and every variable of rank 0 or 1: "
    "(u - 0.5) * 0.2; all others: (2u - 1) * sqrt(a / fan), a = 6 for rank 4 else 3, fan = the product of all dimensions but "
    "the last (depthwise_weights: of the first two). The result is rounded to float32 at the end.")


def synthetic_for(spec, tags):
    with tf.Graph().as_default():
        m = hub.Module(spec, tags=set(tags))
        return {k: synthetic(k, v.shape.as_list()) for k, v in m.variable_map.items()}


# --- frozen graphs, saved models ---

def read_graph(path):
    g = tf.GraphDef()
    g.ParseFromString(open(path, "rb").read())
    return g


def run_graph(graph_def, feeds, fetches):
    with tf.Graph().as_default() as g:
        tf.import_graph_def(graph_def, name="")
        with record.session(g) as s:
            got = s.run(list(fetches), {k: plain(v) for k, v in feeds.items()})
    return dict(zip(fetches, got))


def signatures_of(folder):
    out = []
    for m in loader_impl.parse_saved_model(folder).meta_graphs:
        sigs = {}
        for name, s in sorted(m.signature_def.items()):
            def side(side_map):
                return {k: {"tensor": v.name, "dtype": dtype_name(v.dtype) if v.dtype else None,
                            "shape": None if v.tensor_shape.unknown_rank else [d.size for d in v.tensor_shape.dim]}
                        for k, v in sorted(side_map.items())}
            sigs[name] = {"method": s.method_name, "inputs": side(s.inputs), "outputs": side(s.outputs)}
        out.append({"tags": sorted(m.meta_info_def.tags), "tensorflow": m.meta_info_def.tensorflow_version,
                    "nodes": len(m.graph_def.node), "functions": len(m.graph_def.library.function),
                    "collections": sorted(m.collection_def), "signatures": sigs})
    return out


def without_contrib(saved_model):
    """Replaces two ops that TF 2.15 cannot run by others that give the same: BucketizeWithInputBoundaries (tf.contrib; the
    int32 count of boundaries <= value) and BoostedTreesBucketize (kernel removed; the int32 count of boundaries < value, at
    most the number of boundaries - 1, 0 without boundaries)."""
    changed = False
    i32, flt = tf.AttrValue(type=3), tf.AttrValue(type=1)
    for m in saved_model.meta_graphs:
        for n in list(m.graph_def.node):
            if n.op not in ("BucketizeWithInputBoundaries", "BoostedTreesBucketize"):
                continue
            changed, base, (value, bounds) = True, n.name, list(n.input)[:2]
            boosted = n.op == "BoostedTreesBucketize"
            if boosted and n.attr["num_features"].i != 1:
                raise NotImplementedError("BoostedTreesBucketize of several features")

            def add(suffix, op, inputs, **attr):
                x = m.graph_def.node.add(name=base + "/" + suffix, op=op, input=inputs)
                for k, v in attr.items():
                    x.attr[k].CopyFrom(v)
                return x.name

            def const(suffix, v):
                return add(suffix, "Const", [], dtype=i32, value=tf.AttrValue(tensor=tf.make_tensor_proto(v, tf.int32)))

            row = const("row", [1, -1])
            v = add("v", "Reshape", [value, row], T=flt, Tshape=i32)
            b = add("b", "Reshape", [bounds, row], T=flt, Tshape=i32)
            u = add("u", "LowerBound" if boosted else "UpperBound", [b, v], T=flt, out_type=i32)
            s = add("s", "Shape", [value], T=flt, out_type=i32)
            if boosted:
                size = add("size", "Size", [bounds], T=flt, out_type=i32)
                last = add("last", "Sub", [size, const("one", 1)], T=i32)
                top = add("top", "Maximum", [last, const("zero", 0)], T=i32)
                u = add("low", "Minimum", [u, top], T=i32)
            n.op = "Reshape"
            del n.input[:]
            n.input.extend([u, s])
            n.attr.clear()
            n.attr["T"].CopyFrom(i32)
            n.attr["Tshape"].CopyFrom(i32)
        if changed:
            m.meta_info_def.stripped_op_list.Clear()
    return changed


class Loaded:
    """A saved model in a v1 session."""

    def __init__(self, folder, tags=("serve",), rewrite=None):
        if rewrite:
            import shutil, tempfile
            saved = loader_impl.parse_saved_model(folder)
            assert rewrite(saved)
            copy = tempfile.mkdtemp()
            for d in ("variables", "assets"):
                if os.path.isdir(os.path.join(folder, d)):
                    shutil.copytree(os.path.join(folder, d), os.path.join(copy, d))
            with open(os.path.join(copy, "saved_model.pb"), "wb") as f:
                f.write(saved.SerializeToString())
            folder = copy
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.session = record.session(self.graph)
            self.meta = tf.saved_model.loader.load(self.session, list(tags), folder)

    def call(self, signature, inputs):
        s = self.meta.signature_def[signature]
        return self.session.run({k: self.graph.get_tensor_by_name(v.name) for k, v in s.outputs.items()},
                                {s.inputs[k].name: plain(v) for k, v in inputs.items()})


def example(**features):
    e = tf.train.Example()
    for k, v in features.items():
        v = v if isinstance(v, (list, tuple)) else [v]
        f = e.features.feature[k]
        if isinstance(v[0], (str, bytes)):
            f.bytes_list.value.extend(x.encode() if isinstance(x, str) else x for x in v)
        elif isinstance(v[0], float):
            f.float_list.value.extend(v)
        else:
            f.int64_list.value.extend(v)
    return e.SerializeToString(deterministic=True)


def saved_model_golden(folder):
    g = Golden(folder, "saved_model", "..")
    g.json["meta_graphs"] = signatures_of(folder)
    index = os.path.join(folder, "variables", "variables")
    if os.path.exists(index + ".index"):
        g.json["bundle"] = describe_bundle(index)
    return g


def call_both(g, name, folder, signature, inputs, tags=("serve",), tolerance=(1e-4, 1e-5), v2=True, **more):
    """One signature through the v1 loader, and through tf.saved_model.load; they must agree."""
    got = None
    try:
        got = Loaded(folder, tags).call(signature, inputs)
        more["v1_loader"] = True
    except Exception as e:
        more["v1_loader"] = False
        more["v1_loader_error"] = "%s: %s" % (type(e).__name__, str(e)[:200])
    if v2:
        try:
            with eager_context.eager_mode():
                f = tf2.saved_model.load(folder).signatures[signature]
                got2 = {k: v.numpy() for k, v in f(**{k: tf.constant(plain(v)) for k, v in inputs.items()}).items()}
            more["v2_load"] = True
            if got is not None:
                worst = 0.0
                for k in got:
                    a, b = np.asarray(got[k]), np.asarray(got2[k])
                    if a.dtype.kind == "f":
                        worst = max(worst, float(np.max(np.abs(a - b))) if a.size else 0.0)
                    elif not np.array_equal(a, b):
                        worst = float("inf")
                more["v1_v2_max_difference"] = worst
            got = got2 if got is None else got
        except Exception as e:
            more["v2_load"] = False
            more["v2_load_error"] = "%s: %s" % (type(e).__name__, str(e)[:200])
    if got is None:
        print("  not run:", folder, signature, more)
        g.json["runs"].append(dict(name=name, signature=signature, **more))
        return None
    g.run(name, inputs, got, signature=signature, tags=list(tags), tolerance=tolerance, **more)
    return got


def v2_facts(folder):
    with eager_context.eager_mode():
        o = tf2.saved_model.load(folder)
        facts = {"signatures": sorted(o.signatures)}
        if hasattr(o, "variables"):
            facts["variables"] = [{"name": v.name, "dtype": v.dtype.name, "shape": json_shape(v.shape), "trainable": bool(v.trainable)} for v in o.variables]
        facts["callable"] = callable(o)
        facts["attributes"] = sorted(a for a in dir(o) if not a.startswith("_") and a not in dir(tf2.Module()))
        for name, f in o.signatures.items():
            facts.setdefault("calls", {})[name] = {
                "inputs": {k: {"dtype": t.dtype.name, "shape": json_shape(t.shape)} for k, t in f.structured_input_signature[1].items()},
                "outputs": {k: {"dtype": t.dtype.name, "shape": json_shape(t.shape)} for k, t in f.structured_outputs.items()}}
        return facts


def mnist_test(data):
    with gzip.open(os.path.join(data, "t10k-images-idx3-ubyte.gz")) as f:
        x = np.frombuffer(f.read()[16:], np.uint8).reshape(10000, 784)
    with gzip.open(os.path.join(data, "t10k-labels-idx1-ubyte.gz")) as f:
        return x, np.frombuffer(f.read()[8:], np.uint8)


def accuracy(loaded, signature, key, out, x, labels, scale=1 / 255.0, shape=None):
    right = 0
    for i in range(0, 10000, 1000):
        v = x[i:i + 1000].astype(np.float32) * np.float32(scale)
        got = loaded.call(signature, {key: v if shape is None else v.reshape((-1,) + shape)})[out]
        right += int((np.argmax(got, -1).reshape(-1) == labels[i:i + 1000]).sum())
    return right


# --- the public models ---

def do_half_plus_two(real):
    d = os.path.join(real, "hub/half_plus_two_v1")
    g, _ = hub_golden(d)
    for name, x in (("vector", [0., 1, 2, -3.5, 1e30]), ("scalar", 5.), ("empty", np.zeros((0, 3))), ("matrix", [[1., 2], [3, float("nan")]])):
        x = np.asarray(x, np.float32)
        out, _ = module_outputs(d, [], "default", {"default": x})
        g.run(name, {"default": x}, out, tags=[], signature="default")
    fine_tune(g, "step", d, [], "default", {"default": np.float32([0, 1, 2])}, "default", after=None)
    g.json["fine_tune"][-1]["inputs"] = {"default": [0, 1, 2]}
    g.save()


def do_minis(real):
    for n in ("v1_mini", "v1_mini_train"):
        d = os.path.join(real, "hub", n)
        g, spec = hub_golden(d)
        for tags in sorted(spec.get_tags(), key=sorted):
            x = np.float32([[1, -2], [.5, 3]])
            out, _ = module_outputs(d, tags, "default", {"default": x})
            g.run("matrix" + "".join("_" + t for t in sorted(tags)), {"default": x}, out, tags=sorted(tags), signature="default")
            if g.json["meta_graphs"][0]["variable_map"]:
                fine_tune(g, "step" + "".join("_" + t for t in sorted(tags)), d, tags, "default", {"default": x}, "default",
                          after=g.json["runs"][-1]["name"])
        g.save()


def do_segmenter(real):
    import tensorflow_text  # noqa: registers the ops
    d = os.path.join(real, "hub/tftext_segmenter")
    segmenter(d, json.load(open(os.path.join(d, "expected.json"))))


def segmenter(d, expected):
    g, _ = hub_golden(d)
    for i, c in enumerate(expected["cases"]):
        x = np.array([t.encode() for t in c["text"]], object)
        out, _ = module_outputs(d, [], "default", {"text": x})
        out = {k: v for k, v in out.items()}
        splits = np.cumsum([0] + list(out["num_tokens"]))
        got = [[t.decode() for t in out["tokens"][a:b]] for a, b in zip(splits, splits[1:])]
        assert got == c["tokens"], got
        assert [list(out["starts"][a:b]) for a, b in zip(splits, splits[1:])] == c["starts"]
        assert [list(out["ends"][a:b]) for a, b in zip(splits, splits[1:])] == c["ends"]
        g.run("published_%d" % i, {"text": x}, out, tags=[], signature="default")
    for name, texts in (("mixed", ["TF1 Hub 模块", "", "中 文", "北京大学生前来应聘", "😀新华社"]), ("bad_utf8", [b"\xff\xe4\xb8\xad", b"a\x80b", "中文"]), ("empty_batch", [])):
        x = np.array([t if isinstance(t, bytes) else t.encode() for t in texts], object)
        try:
            out, _ = module_outputs(d, [], "default", {"text": x})
            g.run(name, {"text": x}, out, tags=[], signature="default")
        except tf.errors.OpError as e:
            g.run(name, {"text": x}, {}, tags=[], signature="default", error=record._code_name(e), error_message=e.message[:200])
    x = np.array(["新华社北京".encode(), "中文测试".encode()], object)
    out, _ = module_outputs(d, [], "default", {"text": x})
    fine_tune(g, "step", d, [], "default", {"text": x}, "logits", after="published_1", limit=512)
    g.save()


def do_vae(real):
    d = os.path.join(real, "hub/vae3dshapes_model")
    vae(d, 11)
    d = os.path.join(real, "hub/vae3dshapes_representation")
    g, _ = hub_golden(d)
    x = Affine(image_u8(21, 2, 64, 64, 3), 1 / 255.0, 0)
    out, _ = module_outputs(d, [], "representation", {"images": x})
    g.run("representation", {"images": x}, out, tags=[], signature="representation")
    g.save()


def vae(d, seed):
    g, spec = hub_golden(d)
    for tags in sorted(spec.get_tags(), key=sorted):
        suffix = "".join("_" + t for t in sorted(tags))
        x = Affine(image_u8(seed, 1, 64, 64, 3), 1 / 255.0, 0)
        z = np.random.RandomState(seed + 1).randn(2, 10).astype(np.float32)
        out, _ = module_outputs(d, tags, "gaussian_encoder", {"images": x})
        g.run("gaussian_encoder" + suffix, {"images": x}, out, tags=sorted(tags), signature="gaussian_encoder")
        out, _ = module_outputs(d, tags, "decoder", {"latent_vectors": z})
        g.run("decoder" + suffix, {"latent_vectors": z}, out, tags=sorted(tags), signature="decoder")
        noise = {"random_normal/RandomStandardNormal:0": np.random.RandomState(seed + 2).randn(1, 10).astype(np.float32)}
        out, _ = module_outputs(d, tags, "reconstructions", {"images": x}, noise)
        g.run("reconstructions" + suffix, {"images": x}, out, feeds=noise, tags=sorted(tags), signature="reconstructions")
        fine_tune(g, "step" + suffix, d, tags, "reconstructions", {"images": x}, "images", noise, after="reconstructions" + suffix, limit=200)
    g.save()


def likelihood(d, seed, size=(8, 8, 8), output="loglikelihood"):
    g, spec = hub_golden(d)
    r = np.random.RandomState(seed)
    c = spec.get_input_info_dict("default")["labels"].get_shape().as_list()[-1]
    fc = spec.get_input_info_dict("default")["features"].get_shape().as_list()[-1]
    feats = (r.randn(1, *size, fc) * 1.5).astype(np.float32)
    labels = np.zeros((1,) + size + (c,), np.float32)
    occupied = r.uniform(size=(1,) + size) < .3
    labels[..., 0] = np.where(occupied, r.poisson(1.5, (1,) + size), 0)
    for i in range(1, c):
        labels[..., i] = np.where(labels[..., 0] > 0, 10 ** r.uniform(0, 1, (1,) + size), 0)
    inputs = {"features": feats, "labels": labels}
    meta = loader_impl.parse_saved_model(d).meta_graphs[0].graph_def
    random_ops = [n for n in meta.node if n.op in ("Multinomial", "RandomStandardNormal", "RandomPoissonV2", "RandomUniform", "TruncatedNormal")
                  and "nitializer" not in n.name]
    names = [n.name + ":0" for n in random_ops]
    used = set()
    out, extra = module_outputs(d, [], "default", inputs, extra=names)
    out2, extra2 = module_outputs(d, [], "default", inputs, feeds={n: r.permutation(np.asarray(extra[n]).reshape(-1)).reshape(np.shape(extra[n])) for n in names})
    changed = [k for k in out if not np.array_equal(out[k], out2[k], equal_nan=True)]
    g.json["random_tensors"] = [{"tensor": n.name + ":0", "op": n.op} for n in random_ops]
    g.json["outputs_that_depend_on_random_tensors"] = sorted(changed)
    noise = {}
    for n in random_ops:
        a = np.asarray(extra[n.name + ":0"])
        if n.op == "RandomStandardNormal":
            noise[n.name + ":0"] = r.randn(*a.shape).astype(a.dtype)
        elif n.op == "Multinomial":
            noise[n.name + ":0"] = r.randint(0, 4, a.shape).astype(a.dtype)
        elif n.op == "RandomPoissonV2":
            noise[n.name + ":0"] = r.poisson(1., a.shape).astype(a.dtype)
        else:
            noise[n.name + ":0"] = r.uniform(size=a.shape).astype(a.dtype)
    noise = {k: v for k, v in noise.items() if any(k.startswith(n.name) for n in random_ops)}
    out, _ = module_outputs(d, [], "default", inputs, feeds=noise)
    g.run("noise_fed", inputs, out, feeds=noise, tags=[], signature="default",
          note="The random tensors are fed, so every output is fixed.")
    again, _ = module_outputs(d, [], "default", inputs)
    g.run("no_noise", inputs, again, tags=[], signature="default", shape_only=set(changed),
          note="Nothing but the signature's inputs is fed; outputs that depend on randomness are checked for shape only.")
    fine_tune(g, "step", d, [], "default", inputs, output, noise, loss_kind="minus_mean", rate=1e-6, after="noise_fed", limit=200)
    g.save()


def do_likelihoods(real):
    likelihood(os.path.join(real, "hub/cosmicrim_likelihood"), 31)
    likelihood(os.path.join(real, "hub/dhod_likelihood"), 32)


def do_graph_only(real):
    d = os.path.join(real, "hub_graph_only/mobilenet_v2_100_224_feature_vector_1")
    graph_only(d, 41, "images", [("default", None), ("image_feature_vector", None)], (2, 224, 224, 3))


def graph_only(d, seed, key, signatures, shape):
    g, spec = hub_golden(d, with_bundle=False)
    g.json["synthetic_weights"] = SYNTHETIC_TEXT
    x = Affine(image_u8(seed, 1, *shape[1:]), 1 / 255.0, 0)
    for tags in sorted(spec.get_tags(), key=sorted):
        suffix = "".join("_" + t for t in sorted(tags))
        weights = synthetic_for(spec, tags)
        for signature, _ in signatures:
            out, _ = module_outputs(d, tags, signature, {key: x}, assign=weights)
            keys = sorted(out)
            limit = LIMIT if len(keys) == 1 else 400
            g.run(signature + suffix, {key: x}, out, tags=sorted(tags), signature=signature, limit=limit, tolerance=(1e-3, 1e-4),
                  weights="synthetic")
    with tf.Graph().as_default() as graph:
        hub.Module(d)
        with record.session(graph) as s:
            try:
                s.run(tf.global_variables_initializer())
            except tf.errors.OpError as e:
                g.json["loading_its_own_weights"] = {"error": record._code_name(e)}
    g.save()


def do_mobilenet(real):
    d = os.path.join(real, "frozen/mobilenet_v1_025_128/mobilenet_v1_0.25_128")
    labels = open(os.path.join(d, "labels.txt")).read().splitlines()
    photo = photo_u8(os.path.join(real, "frozen/mtcnn/test_image.jpg"), 128, 128)
    for model in ("frozen_graph", "quantized_graph"):
        g = Golden(os.path.join(d), "frozen_graph", "../%s.pb" % model)
        g.folder = os.path.join(d, "golden_" + model)
        os.rmdir(os.path.join(d, "golden")) if os.path.isdir(os.path.join(d, "golden")) and not os.listdir(os.path.join(d, "golden")) else None
        os.makedirs(g.folder, exist_ok=True)
        graph = read_graph(os.path.join(d, model + ".pb"))
        g.json["ops"] = op_counts(graph)
        logits = [n.name for n in graph.node if n.op == "Squeeze" and "Logits" in n.name]
        fetch = ["MobilenetV1/Predictions/Reshape_1:0"] + [n + ":0" for n in logits]
        for name, u8 in (("photo", photo), ("seeded", image_u8(51, 1, 128, 128, 3))):
            x = Affine(u8, 2 / 255.0, -1)
            out = run_graph(graph, {"input:0": x}, fetch)
            p = out[fetch[0]].reshape(-1)
            top = np.argsort(-p)[:5]
            g.run(name, {"input:0": x}, out, top5=[{"class": int(i), "label": labels[i] if i < len(labels) else None, "probability": float(p[i])} for i in top])
        g.save()


def op_counts(graph):
    c = {}
    for n in graph.node:
        c[n.op] = c.get(n.op, 0) + 1
    for f in graph.library.function:
        for n in f.node_def:
            c[n.op] = c.get(n.op, 0) + 1
    return dict(sorted(c.items()))


def photo_u8(path, height, width):
    with tf.Graph().as_default() as g:
        x = tf.image.decode_jpeg(open(path, "rb").read(), channels=3, dct_method="INTEGER_ACCURATE")
        x = tf.image.resize_area(tf.cast(x[None], tf.float32), [height, width])
        with record.session(g) as s:
            return np.clip(np.rint(s.run(x)), 0, 255).astype(np.uint8)


def do_kws(real):
    d = os.path.join(real, "frozen/keyword_spotting")
    kws(d, sorted(glob.glob(os.path.join(d, "*", "*.pb"))), d)


def kws(root, models, sounds):
    labels = open(os.path.join(sounds, "labels.txt")).read().split()
    for path in models:
        graph = read_graph(path)
        g = Golden(os.path.dirname(path), "frozen_graph", "../" + os.path.basename(path), ops=op_counts(graph))
        inner = [n.name + ":0" for n in graph.node if n.op in ("DecodeWav", "AudioSpectrogram", "Mfcc")]
        for sound in ("yes", "silence"):
            wav = FromFile(os.path.join(sounds, sound + ".wav"))
            out = run_graph(graph, {"wav_data:0": wav}, ["labels_softmax:0"] + inner)
            p = out["labels_softmax:0"].reshape(-1)
            prefix = os.path.splitext(os.path.basename(path))[0] + "_" if len(models) > 6 else ""
            g.run(prefix + sound, {"wav_data:0": wav}, out, limit=4000, label=labels[int(p.argmax())], probability=float(p.max()))
        g.save()


def do_mtcnn(real):
    d = os.path.join(real, "frozen/mtcnn")
    jpg = os.path.join(d, "test_image.jpg")
    with tf.Graph().as_default() as graph, record.session(graph) as s:
        full = s.run(tf.image.decode_jpeg(open(jpg, "rb").read(), channels=3, dct_method="INTEGER_ACCURATE"))
    h, w = full.shape[:2]
    small_h = 240
    small = photo_u8(jpg, small_h, int(round(w * small_h / h)))[0]
    g = Golden(d, "frozen_graph", "..", note="prob, landmarks and box of mtcnn.pb and mtcnn_1.12.pb; the image is fed as BGR floats 0..255. "
               "The image of full size is test_image.jpg decoded with libjpeg's accurate integer DCT; the small one is stored.")
    g.json["full_size"] = [h, w]
    for model in ("mtcnn", "mtcnn_1.12"):
        graph = read_graph(os.path.join(d, model + ".pb"))
        for size, img in (("small", small), ("full", full)):
            bgr = np.ascontiguousarray(img[:, :, ::-1])
            feeds = {"min_size:0": np.float32(20 if size == "small" else 40), "thresholds:0": np.float32([.6, .7, .8]), "factor:0": np.float32(.7)}
            x = Affine(bgr, 1, 0)
            try:
                out = run_graph(graph, dict(feeds, **{"input:0": x}), ["prob:0", "landmarks:0", "box:0"])
            except Exception as e:
                print("  mtcnn", model, size, type(e).__name__, str(e)[:300])
                continue
            if size == "full":
                feeds["input:0"] = FromFile(jpg, note="JPEG to RGB, then BGR float32 0..255, shape [height, width, 3]")
            else:
                feeds["input:0"] = x
            g.run("%s_%s" % (model.replace(".", "_"), size), feeds, out, graph="../%s.pb" % model, tolerance=(1e-3, 1e-4))
    g.save()


def do_saved_v1(real):
    root = os.path.join(real, "saved_model_v1")
    d = os.path.join(root, "half_plus_two/00000123")
    g = saved_model_golden(d)
    m = Loaded(d)
    ex = np.array([example(x=[1.0], x2=[10.0]), example(x=[-2.5])], object)
    for s in sorted(m.meta.signature_def):
        key = list(m.meta.signature_def[s].inputs)[0]
        v = ex if m.meta.signature_def[s].inputs[key].dtype == 7 else np.float32([[1], [-2.5]])
        g.run(s, {key: v}, m.call(s, {key: v}), signature=s, tags=["serve"])
    g.json["asset"] = {"collection": "asset_filepaths", "file": "../assets/foo.txt"}
    g.save()

    d = os.path.join(root, "counter/00000123")
    g = saved_model_golden(d)
    m = Loaded(d)
    seq = []
    for i, (s, inputs) in enumerate([("get_counter", {}), ("incr_counter", {}), ("incr_counter", {}), ("incr_counter_by", {"delta": np.float32(2.5)}),
                                     ("get_counter", {}), ("reset_counter", {}), ("incr_counter_by", {"delta": np.float32(-1)}), ("get_counter", {})]):
        g.run("%02d_%s" % (i, s), inputs, m.call(s, inputs), signature=s, tags=["serve"], note="the runs share one session, in this order")
    g.save()

    x, labels = mnist_test(os.path.join(real, "data/mnist_t10k"))
    for n in ("mnist_pbtxt", "mnist_tensorflow_1_13"):
        d = os.path.join(root, n)
        g = saved_model_golden(d)
        m = Loaded(d)
        v = Affine(x[:2], 1 / 255.0, 0)
        g.run("first_two", {"images": v}, m.call("serving_default", {"images": v}), signature="serving_default", tags=["serve"])
        g.json["mnist_t10k"] = {"correct": accuracy(m, "serving_default", "images", "scores", x, labels), "of": 10000,
                                "input": "pixel / 255 as float32"}
        print("  ", n, g.json["mnist_t10k"])
        g.save()

    d = os.path.join(root, "iris")
    g = saved_model_golden(d)
    m = Loaded(d)
    rows = [r for r in csv.reader(open(os.path.join(d, "_expected/iris.csv"))) if len(r) == 5]
    kinds = ("Iris-setosa", "Iris-versicolor", "Iris-virginica")
    for name, label in (("label_zero", False), ("label_fed", True)):
        ex = np.array([example(sepal_length=[float(r[0])], sepal_width=[float(r[1])], petal_length=[float(r[2])], petal_width=[float(r[3])],
                               **{"class_name_" + k: [float(label and r[4] == k)] for k in kinds}) for r in rows], object)
        out = m.call("predict", {"examples": ex})
        g.json["all_rows_" + name] = {
            "rows": len(rows), "class_ids": [int(v) for v in out["class_ids"].reshape(-1)],
            "features": "the four numeric columns of _expected/iris.csv as float; class_name_* " +
                        ("one-hot of the label" if label else "fed as 0")}
        pick = ex[[0, 60, 120]]
        for s, key in (("predict", "examples"), ("serving_default", "inputs"), ("classification", "inputs")):
            g.run(s + "_" + name, {key: pick}, m.call(s, {key: pick}), signature=s, tags=["serve"])
    bare = np.array([example(sepal_length=[5.1])], object)
    try:
        out = m.call("predict", {"examples": bare})
        g.run("missing_features", {"examples": bare}, out, signature="predict", tags=["serve"])
    except tf.errors.OpError as e:
        g.run("missing_features", {"examples": bare}, {}, signature="predict", tags=["serve"], error=record._code_name(e), error_message=e.message[:200])
    g.save()

    taxi(os.path.join(root, "tfx_taxi"))


def taxi_examples():
    rows = [dict(company="Taxi Affiliation Services", dropoff_census_tract=17031839100.0, dropoff_community_area=32.0, dropoff_latitude=41.88, dropoff_longitude=-87.63,
                 fare=12.5, payment_type="Credit Card", pickup_census_tract=17031081500.0, pickup_community_area=8, pickup_latitude=41.89, pickup_longitude=-87.62,
                 trip_miles=2.5, trip_seconds=600.0, trip_start_day=3, trip_start_hour=17, trip_start_month=5, trip_start_timestamp=1400000000),
            dict(company="no such company", dropoff_latitude=41.7, dropoff_longitude=-87.9, fare=47.25, payment_type="Cash", pickup_community_area=76,
                 pickup_latitude=41.98, pickup_longitude=-87.9, trip_miles=17.6, trip_seconds=2280.0, trip_start_day=7, trip_start_hour=23, trip_start_month=12,
                 trip_start_timestamp=1450000000),
            dict(payment_type="Unknown", pickup_community_area=1, trip_start_day=1, trip_start_hour=0, trip_start_month=1, trip_start_timestamp=1388534400)]
    return rows


def taxi(d):
    g = saved_model_golden(d)
    ops = {n.op for m in loader_impl.parse_saved_model(d).meta_graphs for n in m.graph_def.node}
    contrib = "BucketizeWithInputBoundaries" in ops
    m = Loaded(d, rewrite=without_contrib if contrib else None)
    if contrib:
        g.json["replaced_ops"] = {"BucketizeWithInputBoundaries": "not in TF 2.15 (tf.contrib): recorded with UpperBound instead, the int32 "
                                  "number of boundaries <= value"}
    types = {}
    with m.graph.as_default():
        for op in m.graph.get_operations():
            if op.type in ("ParseExample", "ParseExampleV2"):
                kinds = op.get_attr("sparse_types") if op.type == "ParseExample" else op.get_attr("sparse_types")
                keys = [tf.make_ndarray(i.op.get_attr("value")) for i in op.inputs if i.op.type == "Const" and "sparse_keys" in i.op.name]
                flat = [k for a in keys for k in np.asarray(a, object).reshape(-1)]
                types = {(k if isinstance(k, bytes) else str(k).encode()).decode(): t for k, t in zip(flat, kinds)}
    rows = []
    for r in taxi_examples():
        cast = {}
        for k, v in r.items():
            t = types.get(k)
            if t is None:
                continue
            cast[k] = [str(v)] if t == tf.string else [float(v)] if t == tf.float32 else [int(v)]
        rows.append(example(**cast))
    ex = np.array(rows, object)
    g.json["parsed_features"] = {k: t.name for k, t in sorted(types.items())}
    for s, sig in sorted(m.meta.signature_def.items()):
        if list(sig.inputs) and sig.outputs:
            key = list(sig.inputs)[0]
            try:
                g.run(s, {key: ex}, m.call(s, {key: ex}), signature=s, tags=["serve"])
            except Exception as e:
                print("  taxi", s, type(e).__name__, str(e)[:300])
    g.save()


def do_saved_v2(real):
    root = os.path.join(real, "saved_model_v2")
    for n, specs in (("cppflow/load_model", {"input_1": (2, 5)}), ("cppflow/multi_input_output", {"my_input_1": (2, 5), "my_input_2": (2, 5)})):
        d = os.path.join(root, n)
        g = saved_model_golden(d)
        g.json["v2"] = v2_facts(d)
        r = np.random.RandomState(61)
        call_both(g, "seeded", d, "serving_default", {k: r.randn(*s).astype(np.float32) for k, s in sorted(specs.items())})
        call_both(g, "ones", d, "serving_default", {k: np.ones((1, 5), np.float32) for k in specs})
        g.save()
    d = os.path.join(root, "basic_pitch")
    g = saved_model_golden(d)
    g.json["v2"] = v2_facts(d)
    with wave.open(os.path.join(d, "_expected/vocadito_10.wav")) as w:
        rate, channels, width, frames = w.getframerate(), w.getnchannels(), w.getsampwidth(), w.getnframes()
        pcm = np.frombuffer(w.readframes(frames), "<i2").reshape(-1, channels)
    step = rate // 22050
    mono = (pcm.astype(np.float32).mean(1) / np.float32(32768))[::step]
    x = np.ascontiguousarray(mono[22050 * 2:22050 * 2 + 43844]).reshape(1, 43844, 1)
    g.json["wav"] = {"rate": rate, "channels": channels, "frames": frames}
    call_both(g, "voice", d, "serving_default", {"input_2": x}, limit=20000 // 3, tolerance=(1e-3, 1e-4),
              note="vocadito_10.wav / 32768, mono, every %d. sample from 2 s on" % step)
    t = np.arange(43844) / 22050.0
    tone = (0.4 * np.sin(2 * np.pi * 440 * t) + .2 * np.sin(2 * np.pi * 659.26 * t)).astype(np.float32)
    call_both(g, "tones", d, "serving_default", {"input_2": tone.reshape(1, -1, 1)}, limit=20000 // 3, tolerance=(1e-3, 1e-4))
    recorded = np.load(os.path.join(d, "_expected/vocadito_10/model_output.npz"), allow_pickle=True)
    g.json["published_output"] = {"keys": sorted(recorded.files)}
    try:
        e = recorded[recorded.files[0]].item()
        g.json["published_output"]["shapes"] = {k: list(np.shape(v)) for k, v in e.items()}
        g.json["published_output"]["comparison"] = pitch_windows(d, mono, e, rate)
    except Exception as ex:
        g.json["published_output"]["comparison"] = "%s: %s" % (type(ex).__name__, str(ex)[:200])
    g.save()


def pitch_windows(d, mono, expected, rate):
    """The published recipe: 30 overlapping frames, half of it as leading silence, windows of 43,844 samples."""
    overlap, size = 30 * 256, 43844
    hop = size - overlap
    audio = np.concatenate([np.zeros(overlap // 2, np.float32), mono])
    m = Loaded(d)
    parts = {"note": [], "onset": [], "contour": []}
    for i in range(0, len(audio), hop):
        w = audio[i:i + size]
        w = np.pad(w, (0, size - len(w))).reshape(1, size, 1)
        out = m.call("serving_default", {"input_2": w})
        for k in parts:
            parts[k].append(out[k][0][15:-15])
    report = {}
    frames = int(np.floor(len(mono) * (86 / 22050)))
    for k in parts:
        a = np.concatenate(parts[k])[:frames]
        b = np.asarray(expected[k])
        n = min(len(a), len(b))
        report[k] = {"frames": [len(a), len(b)], "max_difference": float(np.abs(a[:n] - b[:n]).max()),
                     "mean_difference": float(np.abs(a[:n] - b[:n]).mean())}
    return report


def do_checkpoints(real):
    for prefix in ("checkpoint/cosmicrim/model.ckpt-70000", "checkpoint/t2t_transformer/model.ckpt-1"):
        p = os.path.join(real, prefix)
        g = Golden(os.path.dirname(p), "checkpoint", "../" + os.path.basename(p))
        g.json["bundle"] = describe_bundle(p)
        if os.path.exists(p + ".meta"):
            try:
                training_graph(g, p)
            except Exception as e:
                print("  meta graph:", type(e).__name__, str(e)[:500])
        g.save()
    # the module exported from the same run holds the same values
    a = tf.train.load_checkpoint(os.path.join(real, "checkpoint/cosmicrim/model.ckpt-70000"))
    b = tf.train.load_checkpoint(os.path.join(real, "hub/cosmicrim_likelihood/variables/variables"))
    same = [k for k in b.get_variable_to_shape_map() if np.array_equal(b.get_tensor(k), a.get_tensor("module/" + k))]
    assert len(same) == 32, len(same)


def training_graph(g, prefix):
    """The training graph in .meta, restored: its loss and TensorFlow's own gradients for a seeded batch."""
    with tf.Graph().as_default() as graph:
        meta = tf.MetaGraphDef.FromString(open(prefix + ".meta", "rb").read())
        saver = tf.train.import_meta_graph(meta, clear_devices=True)
        info = {"nodes": len(meta.graph_def.node), "collections": sorted(meta.collection_def),
                "ops": op_counts(meta.graph_def)}
        g.json["meta_graph"] = info
        its = [o for o in graph.get_operations() if o.type == "IteratorGetNext"]
        info["iterator_outputs"] = [{"tensor": t.name, "dtype": t.dtype.name, "shape": json_shape(t.shape)} for o in its for t in o.outputs]
        applies = [o for o in graph.get_operations() if o.type in ("ResourceApplyAdam", "ApplyAdam")]
        losses = [t.name for t in tf.get_collection(tf.GraphKeys.LOSSES)]
        info["losses"], info["applies"] = losses, len(applies)
        if not its or not applies:
            return
        r = np.random.RandomState(71)
        feeds = {}
        for t in its[0].outputs:
            feeds[t] = (r.poisson(.4, (1, 8, 8, 8, 1)) if feeds else r.randn(1, 8, 8, 8, 1)).astype(t.dtype.as_numpy_dtype)
        grads = {a.inputs[0].op.name: a.inputs[-1] for a in applies}
        loss = graph.get_tensor_by_name(losses[0]) if losses else None
        after = {a.inputs[0].op.name: a for a in applies}
        seen, todo = set(), list(applies)
        while todo:
            o = todo.pop()
            if o not in seen:
                seen.add(o)
                todo += [i.op for i in o.inputs] + list(o.control_inputs)
        draws = [o.outputs[0] for o in seen if o.type in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "Multinomial")]
        with record.session(graph) as s:
            saver.restore(s, prefix)
            for t, v in sorted(s.run({t.name: t for t in draws}, feeds).items()):
                feeds[graph.get_tensor_by_name(t)] = Affine(r.randint(0, 256, v.shape).astype(np.uint8), 1 / 256.0, 0)  # dropout's noise
            fetch = {"gradient of " + k: v for k, v in grads.items()}
            if loss is not None:
                fetch["loss"] = loss
            got = s.run(fetch, {t: plain(v) for t, v in feeds.items()})
            g.run("gradients", {t.name: v for t, v in feeds.items()}, got, limit=300, tolerance=(1e-3, 2e-5),
                  output_tensors=dict({"gradient of " + k: v.name for k, v in grads.items()}, **({"loss": loss.name} if loss is not None else {})),
                  note="import the .meta graph, restore the checkpoint, feed the iterator's outputs, fetch the gradients that the training graph computes")
        train = [getattr(o, "name", o) for o in tf.get_collection("train_op")]
        if not train:
            return
        kinds = {v.op.name: v for v in tf.global_variables()}
        with record.session(graph) as s:
            saver.restore(s, prefix)
            before = s.run(kinds)
            s.run([graph.as_graph_element(train[0])], {t: plain(v) for t, v in feeds.items()})
            now = s.run(kinds)
        changed = {k: v for k, v in now.items() if not np.array_equal(v, before[k])}
        info["variables"], info["changed_by_a_step"] = sorted(kinds), sorted(changed)
        g.run("train_step", {t.name: v for t, v in feeds.items()}, changed, limit=100, tolerance=(1e-3, 1e-4), train_op=train[0],
              note="restore, run train_op once with the same feeds; every variable that changed (Adam slots, moving averages, step)")


def do_as_modules(real):
    """What hub.create_module_spec_from_saved_model makes of the SavedModels; added to their golden.json."""
    for part in ("v1/counter/00000123", "v1/half_plus_two/00000123", "v1/iris", "v1/mnist_pbtxt", "v1/mnist_tensorflow_1_13", "v1/tfx_taxi",
                 "v2/basic_pitch", "v2/cppflow/load_model"):
        d = os.path.join(real, "saved_model_" + part)
        path = os.path.join(golden_folder(d), "golden.json")
        with open(path) as f:
            golden = json.load(f)
        golden["as_module"] = tries = []
        for drop in (None, sorted({c for m in golden["meta_graphs"] for c in m["collections"]} - {
                "variables", "trainable_variables", "table_initializer", "saved_model_main_op", "legacy_init_op", "asset_filepaths",
                "saved_model_assets", "global_step", "cond_context", "while_context", "model_variables", "update_ops", "regularization_losses"})):
            t = {"drop_collections": drop}
            tries.append(t)
            try:
                spec = hub.create_module_spec_from_saved_model(d, drop_collections=drop)
                with tf.Graph().as_default() as g:
                    tags = sorted(spec.get_tags(), key=sorted)[0]
                    t["tags"] = sorted(tags)
                    t["signatures"] = {s: {"inputs": info_json(spec.get_input_info_dict(s, tags)), "outputs": info_json(spec.get_output_info_dict(s, tags))}
                                       for s in sorted(spec.get_signature_names(tags))}
                    m = hub.Module(spec, tags=tags, trainable=True)
                    t["variable_map"] = sorted(m.variable_map)
                    t["trainable_variables"] = sorted(v.op.name for v in tf.trainable_variables())
                    same = []
                    for r in golden["runs"]:
                        if any("base64" in str(i) or "strings" in i or "scale" in i for i in r["inputs"]) or not r["inputs"] or r["name"][0] == "0":
                            continue
                        store = np.load(os.path.join(golden_folder(d), r["values"]))
                        out = m({i["name"]: tf.constant(store[i["array"]]) for i in r["inputs"]}, signature=r["signature"], as_dict=True)
                        with record.session(g) as s:
                            s.run([tf.global_variables_initializer(), tf.tables_initializer()])
                            got = s.run(out)
                        same.append({"run": r["name"], "same": all(np.array_equal(got[o["name"]], store[o["array"]]) for o in r["outputs"])})
                    t["runs_compared"] = same
                break
            except Exception as e:
                text = str(e).replace(d, "MODEL")[:300]
                names = re.search(r"collections in graph: \[(.*)\]", text)
                if names:  # a set's order
                    text = text.replace(names.group(1), ", ".join(sorted(names.group(1).split(", "))))
                t["error"] = "%s: %s" % (type(e).__name__, text)
        with open(path, "w") as f:
            json.dump(golden, f, indent=1, ensure_ascii=False)
            f.write("\n")
        print(part, [{k: (v if k in ("error", "drop_collections", "runs_compared", "trainable_variables") else "..") for k, v in t.items()} for t in tries])


PARTS = [do_half_plus_two, do_minis, do_segmenter, do_vae, do_likelihoods, do_graph_only, do_mobilenet, do_kws, do_mtcnn, do_saved_v1,
         do_saved_v2, do_as_modules, do_checkpoints]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("real", help="the folder of the models")
    p.add_argument("--only", help="a part of a part's name, such as segmenter")
    a = p.parse_args()
    for part in PARTS:
        if a.only and a.only not in part.__name__:
            continue
        print("==", part.__name__[3:], flush=True)
        try:
            part(a.real)
        except Exception:
            import traceback
            traceback.print_exc()
    golden_format.convert_below(a.real)


if __name__ == "__main__":
    main()
