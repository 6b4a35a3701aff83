"""Records what real TensorFlow does with small TF1 graphs, as conformance cases.

    suite = Suite("nn", seed=0)
    with suite.case("Conv2D/same_stride2", tier=1) as c:
        x = c.feed("x", c.rng.randn(1, 5, 5, 2).astype("float32"))
        y = tf.nn.conv2d(x, c.const(c.rng.randn(3, 3, 2, 4)), 2, "SAME", name="y")
        c.step([y])                 # run with the fed values, record y
        c.gradients([y], [x])       # record tf.gradients
    suite.save(path)

Needs tensorflow-cpu 2.15.1 and protoc. A case's graph is recorded as built:
the session that records runs it without graph optimisation.
"""
import contextlib, hashlib, importlib, os, subprocess, sys, tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
tf.logging.set_verbosity(tf.logging.ERROR)


def _load_proto():
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.join(here, "..", "..", "apps", "replay", "conformance.proto")
    out = tempfile.mkdtemp()
    subprocess.run(["protoc", "-I", os.path.dirname(source), "--python_out", out, source], check=True)
    sys.path.insert(0, out)
    return importlib.import_module("conformance_pb2")


pb = _load_proto()
PRODUCER = "TensorFlow %s CPU" % tf.__version__

# Tolerances by dtype: (rtol, share of the largest magnitude that is added as atol).
TOLERANCE = {
    tf.float16: (4e-3, 2e-3), tf.bfloat16: (2e-2, 1e-2), tf.float32: (2e-5, 2e-6),
    tf.float64: (1e-10, 1e-12), tf.complex64: (2e-5, 2e-6), tf.complex128: (1e-10, 1e-12),
}


def tensor_proto(name, value, dtype):
    """A conformance Tensor of a numpy value; dtype is a tf.DType."""
    dtype = tf.as_dtype(dtype).base_dtype
    t = pb.Tensor(name=name, dtype=dtype.as_datatype_enum)
    value = np.asarray(value, dtype=object if dtype == tf.string else None)  # bytes as they are: numpy's S type drops trailing NULs
    t.shape.extend(value.shape)
    if dtype == tf.string:
        t.strings.extend(v if isinstance(v, bytes) else str(v).encode() for v in value.reshape(-1))
    else:
        t.data = np.ascontiguousarray(value.astype(dtype.as_numpy_dtype, copy=False)).tobytes()
    return t


def tensor_value(t):
    """The numpy value of a conformance Tensor."""
    dtype = tf.DType(t.dtype)
    if dtype == tf.string:
        return np.array(list(t.strings), dtype=object).reshape(tuple(t.shape))
    return np.frombuffer(t.data, dtype.as_numpy_dtype).reshape(tuple(t.shape))


def session(graph):
    """A session that runs the graph as it is: no graph optimiser rewrites it first."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return tf.Session(graph=graph, config=config)


def _ops_of(graph_def):
    ops = {n.op for n in graph_def.node}
    for f in graph_def.library.function:
        ops |= {n.op for n in f.node_def}
    return sorted(ops)


def expected_proto(name, value, dtype, rtol=None, atol=None, shape_only=False):
    dtype = tf.as_dtype(dtype).base_dtype
    e = pb.Expected(shape_only=shape_only)
    e.value.CopyFrom(tensor_proto(name, value, dtype))
    if shape_only:
        e.value.data = b""
        del e.value.strings[:]
    if dtype in TOLERANCE and not shape_only:
        r, share = TOLERANCE[dtype]
        a = np.abs(np.asarray(value).astype(np.complex128 if dtype.is_complex else np.float64))
        a = a[np.isfinite(a)]
        e.rtol = r if rtol is None else rtol
        e.atol = float(share * max(1e-3, a.max() if a.size else 1.0)) if atol is None else atol
    return e


class CaseBuilder:
    """One case under construction; the graph is the default graph meanwhile."""

    def __init__(self, name, tier, seed, note, graph=None):
        self.proto = pb.Case(name=name, tier=tier, note=note, producer=PRODUCER)
        digest = hashlib.sha256(("%d/%s" % (seed, name)).encode()).digest()
        self.rng = np.random.RandomState(int.from_bytes(digest[:4], "little"))
        self.graph = graph or tf.Graph()
        self._fed, self._plan, self._grads = {}, [], []

    def feed(self, name, value, dtype=None, shape=None):
        """A placeholder fed with `value` in every step that does not say otherwise."""
        value = np.asarray(value)
        dtype = tf.as_dtype(dtype or (tf.string if value.dtype.kind in "SUO" else value.dtype))
        p = tf.placeholder(dtype, value.shape if shape is None else shape, name=name)
        self._fed[p] = value
        return p

    def const(self, value, dtype=tf.float32, name=None):
        return tf.constant(np.asarray(value), dtype=dtype, name=name)

    def normal(self, *shape, dtype="float32"):
        return np.asarray(self.rng.randn(*shape)).astype(dtype)

    def initialize(self, *operations):
        """Operations to run before the first step, each in a run of its own."""
        self.proto.initialize.extend(o if isinstance(o, str) else o.name for o in operations)

    def step(self, fetches, feeds=None, targets=(), rtol=None, atol=None, shape_only=()):
        """Runs fetches (tensors) and targets (operations); feeds override the fed values."""
        self._plan.append(("step", list(fetches), feeds, list(targets), rtol, atol, set(map(str, shape_only))))

    def fails(self, fetches, feeds=None, targets=(), code=None, contains=""):
        """A run that must fail; `code` (such as "INVALID_ARGUMENT"), where given, is checked."""
        self._plan.append(("fails", list(fetches), feeds, list(targets), code, contains))

    def gradients(self, ys, xs, grad_ys=None, feeds=None, rtol=None, atol=None):
        """Records tf.gradients(ys, xs, grad_ys) with random grad_ys where "random" is given (default)."""
        self._grads.append((list(ys), list(xs), grad_ys, feeds, rtol, atol))

    def not_differentiable(self, ys, xs):
        self._grads.append((list(ys), list(xs), "refused", None, None, None))

    # --- recording ---

    def _feeds(self, override):
        feeds = dict(self._fed)
        for k, v in (override or {}).items():
            feeds[k] = v
        return {k: v for k, v in feeds.items() if v is not None}

    def record(self):
        graph_def = self.graph.as_graph_def()
        self.proto.graph_def = graph_def.SerializeToString(deterministic=True)
        self.proto.ops.extend(_ops_of(graph_def))
        with session(self.graph) as sess:
            for name in self.proto.initialize:
                sess.run(self.graph.get_operation_by_name(name))
            for kind, fetches, override, targets, *rest in self._plan:
                feeds = self._feeds(override)
                step = self.proto.steps.add()
                step.targets.extend(t.name for t in targets)
                for k, v in feeds.items():
                    step.feeds.append(tensor_proto(k.name, v, k.dtype))
                if kind == "fails":
                    code, contains = rest
                    try:
                        sess.run([fetches, targets], feeds)
                    except tf.errors.OpError as e:
                        got = _code_name(e)
                        if code and got != code:
                            raise AssertionError("%s: code %s, not %s: %s" % (self.proto.name, got, code, e.message))
                        if contains and contains not in e.message:
                            raise AssertionError("%s: message is %s" % (self.proto.name, e.message))
                        step.error, step.error_contains = got, contains
                        for f in fetches:
                            step.expected.add(shape_only=True).value.name = f.name
                    else:
                        raise AssertionError(self.proto.name + ": the run should fail")
                else:
                    rtol, atol, shape_only = rest
                    values, _ = sess.run([fetches, targets], feeds)
                    for f, v in zip(fetches, values):
                        step.expected.append(expected_proto(f.name, v, f.dtype, rtol, atol, str(f) in shape_only or f.name in shape_only))
        for ys, xs, grad_ys, override, rtol, atol in self._grads:
            self._record_gradient(graph_def, ys, xs, grad_ys, override, rtol, atol)
        return self.proto

    def _record_gradient(self, graph_def, ys, xs, grad_ys, override, rtol, atol):
        g = self.proto.gradients.add()
        g.ys.extend(y.name for y in ys)
        g.xs.extend(x.name for x in xs)
        g.targets.extend(self.proto.initialize)
        with self.graph.as_default():
            if isinstance(grad_ys, str) and grad_ys == "refused":
                try:
                    tf.gradients(ys, xs)
                except (LookupError, TypeError, ValueError):
                    g.not_differentiable = True
                    return
                raise AssertionError(self.proto.name + ": TensorFlow has this gradient")
            feeds = self._feeds(override)
            for k, v in feeds.items():
                g.feeds.append(tensor_proto(k.name, v, k.dtype))
            if grad_ys is None:
                values = self._run_fresh(ys, feeds)  # shapes only
                grad_ys = [np.asarray(self.rng.randn(*np.shape(v))).astype(y.dtype.as_numpy_dtype) for y, v in zip(ys, values)]
            for y, gy in zip(ys, grad_ys):
                g.grad_ys.append(tensor_proto(y.name, gy, y.dtype))
            dxs = tf.gradients(ys, xs, [tf.constant(v) for v in grad_ys])
            known = [i for i, d in enumerate(dxs) if d is not None]
            values = self._run_fresh([tf.convert_to_tensor(dxs[i]) for i in known], feeds)
            got = dict(zip(known, values))
            for i, x in enumerate(xs):
                if i in got:
                    g.dxs.append(expected_proto(x.name, got[i], dxs[i].dtype, rtol, atol))
                else:
                    g.dxs.add().value.name = x.name

    def _run_fresh(self, fetches, feeds):
        """Runs in a session of its own: random streams and variables are fresh, and tf.gradients may
        have changed If, While and call nodes, which a session that has seen them would not notice."""
        with session(self.graph) as sess:
            for name in self.proto.initialize:
                sess.run(self.graph.get_operation_by_name(name))
            return sess.run(fetches, feeds)


def _code_name(error):
    for name in dir(tf.errors):
        if name.isupper() and getattr(tf.errors, name) == error.error_code:
            return name
    return str(error.error_code)


class Suite:
    """The cases of one family, saved as one file."""

    def __init__(self, family, seed=0, only=None):
        self.family, self.seed, self.only = family, seed, only
        self.cases, self.failures = pb.CaseList(), []

    @contextlib.contextmanager
    def case(self, name, tier, note="", control_flow_v2=False, resource_variables=False):
        full = self.family + "/" + name
        builder = CaseBuilder(full, tier, self.seed, note)
        (tf.enable_control_flow_v2 if control_flow_v2 else tf.disable_control_flow_v2)()
        (tf.enable_resource_variables if resource_variables else tf.disable_resource_variables)()
        try:
            with builder.graph.as_default():
                tf.set_random_seed(1234)
                yield builder
            if self.only is None or self.only in full:
                if any(c.name == full for c in self.cases.cases):
                    raise AssertionError("two cases of one name")
                self.cases.cases.append(builder.record())
        except Exception as e:  # one bad case must not hide the others
            text = str(e)
            text = text[text.find("\nNode: ") + 1:]  # TensorFlow's own message, past the Python stack
            self.failures.append((full, "%s: %s" % (type(e).__name__, text[:400])))

    def save(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "wb") as f:
            f.write(self.cases.SerializeToString(deterministic=True))
        for name, why in self.failures:
            print("NOT RECORDED %s: %s" % (name, why))
        ops = sorted({o for c in self.cases.cases for o in c.ops})
        print("%s: %d cases, %d op types, %d bytes; %d not recorded" % (
            path, len(self.cases.cases), len(ops), os.path.getsize(path), len(self.failures)))
