"""Records random programs of control flow: conformance/flow.binpb.

    python random_flow.py OUT_DIR [--seed 0] [--count 60]

A program is a few statements over values of all kinds: arithmetic, cond, while_loop with
TensorArrays, map_fn and scan, tf.function, TensorLists, variables of both kinds, random numbers,
assertions that may fail; nested, with v1 and v2 control flow. A third of them are differentiated: the
gradient is recorded as nodes to run. Another third are graphs of Switch, Merge and control edges
as no Python would write them. State is ordered by control edges; a program whose results depend on
TensorFlow's scheduling is left out: each is run three times, on one thread and on four.
"""
import argparse, os, random, tempfile

import record
from record import Suite, tf, np
import tensorflow as tf2

R = tf.raw_ops
MAX_BYTES = 40000  # larger programs are left out
KINDS = "vmdilbs"  # float vector and matrix, double, int32, int64 vector, bool, string


class Unsuitable(Exception):
    """The program is too large, or what it does depends on TensorFlow's scheduling."""


def results_of(case, session):
    """What each run of the case's plan gives: ("ok", values) or (code, None)."""
    for name in case.proto.initialize:
        session.run(case.graph.get_operation_by_name(name))
    results = []
    for _, fetches, override, targets, *_ in case._plan:
        try:
            results.append(("ok", session.run([fetches, targets], case._feeds(override))[0]))
        except tf.errors.OpError as error:
            results.append((record._code_name(error), None))
    return results


def same(a, b):
    if a[0] != b[0] or a[0] != "ok":
        return a[0] == b[0]
    return all(np.array_equal(np.asarray(x), np.asarray(y), equal_nan=np.asarray(x).dtype.kind in "fc")
               for x, y in zip(a[1], b[1]))


def settle(case):
    """Makes each planned run a step or a failure, as TensorFlow has it."""
    if len(case.graph.as_graph_def().SerializeToString()) > MAX_BYTES:
        raise Unsuitable("too large")
    with record.session(case.graph) as session:
        results = results_of(case, session)
    threads = tf.ConfigProto(intra_op_parallelism_threads=2, inter_op_parallelism_threads=4)
    threads.graph_options.rewrite_options.disable_meta_optimizer = True
    for _ in range(2):
        with tf.Session(graph=case.graph, config=threads) as session:
            if not all(map(same, results, results_of(case, session))):
                raise Unsuitable("not determined")
    plan, case._plan = case._plan, []
    for (_, fetches, feeds, targets, *_), (code, _) in zip(plan, results):
        if code == "ok":
            case.step(fetches, feeds, targets)
        else:
            case.fails(fetches, feeds, targets, code)


class Program:
    def __init__(self, case, rnd, gradient):
        self.rnd, self.gradient = rnd, gradient
        self.errors = not gradient and rnd.random() < 0.3
        self.variables = [] if gradient or rnd.random() < 0.5 else self.make_variables(case)
        self.last = []   # what the next effect comes after
        self.depth = 0   # of blocks
        self.loops = 0   # around the block
        self.pure = 0    # blocks without effects around it

    def make_variables(self, case):
        reference = tf.get_variable("reference", initializer=np.float32([0, 1, 2]), use_resource=False)
        handle = R.VarHandleOp(dtype=tf.float32, shape=[3], shared_name="resource")
        case.initialize(reference.initializer, R.AssignVariableOp(resource=handle, value=np.float32([2, 1, 0])))
        return [("reference", reference._variable), ("resource", handle)]

    # --- statements: each adds values to `env`, kind -> values ---

    def block(self, env, count):
        for _ in range(count):
            statements = [self.arithmetic] * 4
            if self.depth < 3:
                statements += [self.cond, self.loop] * 2
            if self.depth < 2:
                statements += [self.map_or_scan, self.call] + [self.tensor_list] * (not self.gradient)
            if self.variables and not self.pure:
                statements += [self.state] * 3 + [self.random_numbers]
            if self.errors and not self.pure:
                statements += [self.check]
            self.rnd.choice(statements)(env)

    def pick(self, env, kind):
        return self.rnd.choice(env[kind])

    def kinds(self):
        return [self.rnd.choice("vvm" if self.gradient else "vvvmdilbs") for _ in range(self.rnd.randint(1, 3))]

    def arithmetic(self, env):
        kind = self.rnd.choice("vvvm" if self.gradient else "vvv" + KINDS)
        a, b = self.pick(env, kind), self.pick(env, kind)
        choices = {
            "v": [lambda: a + b, lambda: a * b * 0.5, lambda: tf.sin(a), lambda: tf.tanh(a - b), lambda: tf.cumsum(a) * 0.3,
                  lambda: tf.concat([a[1:], a[:1]], 0), lambda: tf.linalg.matvec(self.pick(env, "m"), a) * 0.2],
            "m": [lambda: tf.transpose(a) * 0.9, lambda: tf.matmul(a, b) * 0.3, lambda: tf.tanh(a) + self.pick(env, "v")],
            "d": [lambda: tf.cast(self.pick(env, "i"), tf.float64) * 0.5 + a * 1.1],
            "i": [lambda: tf.floormod(a * 7 + b, 101), lambda: tf.maximum(a, b)],
            "l": [lambda: a + b, lambda: tf.reverse(a, [0]), lambda: tf.gather(a, tf.floormod(b, 3))],
            "b": [lambda: self.pick(env, "i") > self.pick(env, "i"), lambda: tf.logical_not(a), lambda: tf.logical_and(a, b)],
            "s": [lambda: tf.strings.substr(tf.strings.join([a, tf.as_string(self.pick(env, "i"))]), 0, 12)],
        }
        env[kind].append(self.rnd.choice(choices[kind])())

    def state(self, env):
        kind, variable = self.rnd.choice(self.variables)
        if kind == "reference" and (self.loops or self.depth and tf.control_flow_v2_enabled()):
            return  # references do not enter loops and functions
        value = self.pick(env, "v")
        with tf.control_dependencies(self.last):
            if kind == "reference":
                change = self.rnd.choice([
                    lambda: tf.assign_add(variable, value * 0.1), lambda: tf.assign(variable, value),
                    lambda: tf.scatter_add(variable, [1, 2], value[:2]), lambda: tf.identity(variable)])()
                with tf.control_dependencies([change]):
                    read = change * 1.0
            else:
                change = self.rnd.choice([
                    lambda: R.AssignAddVariableOp(resource=variable, value=value * 0.1),
                    lambda: R.AssignSubVariableOp(resource=variable, value=value * 0.1),
                    lambda: R.AssignVariableOp(resource=variable, value=value), lambda: tf.no_op()])()
                with tf.control_dependencies([change]):
                    read = R.ReadVariableOp(resource=variable, dtype=tf.float32)
        self.last = [read]
        env["v"].append(read)

    def random_numbers(self, env):
        with tf.control_dependencies(self.last):
            sample = tf.random.uniform([3], seed=self.rnd.randrange(1, 1000))
        self.last = [sample]
        env["v"].append(sample)

    def check(self, env):
        number = self.pick(env, "i")
        with tf.control_dependencies(self.last):
            self.last = [tf.Assert(number < self.rnd.choice([3, 20, 60]), [number])]

    def inside(self, env, in_loop=False):
        """A block of its own; gives its environment."""
        inner = {kind: list(values) for kind, values in env.items()}
        self.depth, self.loops = self.depth + 1, self.loops + in_loop
        self.block(inner, self.rnd.randint(1, 3))
        self.depth, self.loops = self.depth - 1, self.loops - in_loop
        return inner

    def cond(self, env):
        kinds = self.kinds()

        def branch():
            before, self.last = self.last, []
            inner = self.inside(env)
            with tf.control_dependencies(self.last):
                results = [tf.identity(inner[kind][-1]) for kind in kinds]
            self.last = before
            return results

        with tf.control_dependencies([] if self.pure else self.last):
            if self.rnd.random() < 0.25:
                results = tf.switch_case(tf.floormod(self.pick(env, "i"), 3), [branch] * 3)
            else:
                results = tf.cond(self.pick(env, "b"), branch, branch)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        self.after_effects(results[0])
        for kind, result in zip(kinds, results):
            env[kind].append(result)

    def after_effects(self, value):
        if self.variables and not self.pure:
            self.last = [value]

    def loop(self, env):
        kinds = self.kinds()
        limit = tf.minimum(self.rnd.choice([tf.constant(self.rnd.randint(0, 4)), self.pick(env, "i")]), 4)
        has_array = self.rnd.random() < 0.4

        def body(i, *values):
            before, self.last = self.last, [] if self.pure else [tf.identity(i)]
            own = {kind: list(known) for kind, known in env.items()}
            for kind, value in zip(kinds, values[has_array:]):
                own[kind].append(value)
            own["i"].append(i)
            inner = self.inside(own, in_loop=True)
            results = []
            for kind in kinds:
                x = inner[kind][-1]
                results.append(tf.strings.substr(x, 0, 12) if kind == "s" else tf.tanh(x) if kind in "vm" else x)
            with tf.control_dependencies(self.last):
                following = i + 1
            self.last = before
            arrays = [values[0].write(i, tf.identity(inner["v"][-1]))] if has_array else []
            return [following] + arrays + results

        with tf.control_dependencies([] if self.pure else self.last):
            start = [tf.identity(tf.constant(0))]
            if has_array:
                start.append(tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=[3]))
            results = tf.while_loop(lambda i, *_: i < limit, body, start + [self.pick(env, kind) for kind in kinds],
                                    parallel_iterations=self.rnd.choice([1, 10]))
        env["i"].append(results[0])
        self.after_effects(results[0])
        if has_array:
            stacked = tf.concat([tf.zeros([1, 3]), results[1].stack()], 0)
            env["v"].append(tf.reduce_sum(stacked, 0) * 0.3)
        for kind, result in zip(kinds, results[1 + has_array:]):
            env[kind].append(result)

    def without_effects(self, env, **values):
        """The last vector of a block whose effects nothing would order."""
        before, self.last, self.pure = self.last, [], self.pure + 1
        inner = self.inside({kind: known + values.get(kind, []) for kind, known in env.items()})
        self.last, self.pure = before, self.pure - 1
        return inner

    def map_or_scan(self, env):
        rows = self.pick(env, "m")

        def step(row):
            return tf.reshape(tf.tanh(self.without_effects(env, v=[row])["v"][-1]), [3])

        if self.rnd.random() < 0.5:
            result = tf.reduce_sum(tf.map_fn(step, rows), 0) * 0.5
        else:
            result = tf.scan(lambda a, b: step(a + b), rows)[-1]
        env["v"].append(tf.reshape(result, [3]))

    def call(self, env):
        def body(vector, matrix):
            own = {"v": [vector], "m": [matrix], "i": [tf.constant(3)], "b": [tf.reduce_sum(vector) > 0.0],
                   "d": [tf.constant(1.0, tf.float64)], "l": [tf.constant([1, 2, 3], tf.int64)], "s": [tf.constant("q")]}
            inner = self.without_effects(own)
            return tf.tanh(inner["v"][-1]), inner["m"][-1]

        vector, matrix = tf2.function(body)(self.pick(env, "v"), self.pick(env, "m"))
        env["v"].append(vector)
        env["m"].append(matrix)

    def tensor_list(self, env):
        a, b = self.pick(env, "v"), self.pick(env, "v")
        items = R.EmptyTensorList(element_shape=[3], max_num_elements=-1, element_dtype=tf.float32)
        for item in (a, b):
            items = R.TensorListPushBack(input_handle=items, tensor=item)
        items = tf.cond(self.pick(env, "b"), lambda: R.TensorListPushBack(input_handle=items, tensor=a * b),
                        lambda: R.TensorListSetItem(input_handle=items, index=0, item=a - b))

        def grow(i, items):
            item = R.TensorListGetItem(input_handle=items, index=i % 2, element_shape=[3], element_dtype=tf.float32)
            return i + 1, R.TensorListPushBack(input_handle=items, tensor=tf.reshape(item, [3]) * 1.5)

        items = tf.while_loop(lambda i, _: i < 3, grow, [tf.constant(0), items])[1]
        stacked = R.TensorListStack(input_handle=items, element_shape=[3], element_dtype=tf.float32, num_elements=-1)
        env["v"].append(tf.reshape(tf.reduce_mean(stacked, 0), [3]))
        env["i"].append(R.TensorListLength(input_handle=items))


def structured(suite, seed, gradient):
    rnd = random.Random(seed)
    with suite.case("%s/%d" % ("gradient" if gradient else "program", seed), 5, control_flow_v2=rnd.random() < 0.35) as c:
        x = c.feed("x", np.float32([0.5, -1, 2]))
        m = c.feed("m", c.normal(3, 3))
        n, p = c.feed("n", np.int32(3)), c.feed("p", np.bool_(True))
        env = {"v": [x], "m": [m], "i": [n, tf.constant(2)], "b": [p, n > 2], "l": [c.feed("l", np.int64([4, 5, -6]))],
               "d": [c.feed("d", np.float64(0.25))], "s": [c.feed("s", np.array(b"ab", object), tf.string)]}
        program = Program(c, rnd, gradient)
        program.block(env, rnd.randint(2, 4))
        fetches = [tf.identity(values[-1]) for values in env.values()]
        targets = []
        if program.last:
            with tf.control_dependencies(program.last):
                targets = [tf.no_op("effects")]
        if gradient:
            ys = [y for y in fetches if y.dtype == tf.float32]
            fetches += [dx for dx in tf.gradients(ys, [x, m]) if dx is not None]
        for feeds in ({}, {n: np.int32(0)}, {p: np.bool_(False), n: np.int32(5)},
                      {n: np.int32(1), x: np.float32([-3, 0, 0.1])}):
            c.step(fetches, feeds, targets)
        reads = [tf.identity(v) if kind == "reference" else R.ReadVariableOp(resource=v, dtype=tf.float32)
                 for kind, v in program.variables]
        if reads:
            c.step(reads)
        settle(c)


def dead(suite, seed):
    """Switches, merges of both their sides, and control edges among dead and live nodes."""
    rnd = random.Random(seed)
    with suite.case("dead/%d" % seed, 5) as c:
        values = [c.feed("x", np.float32(1.5)), c.feed("y", np.float32(2.5))]
        predicates = [c.feed("p", np.bool_(True)), c.feed("q", np.bool_(False))]
        handle = R.VarHandleOp(dtype=tf.float32, shape=[], shared_name="h")
        c.initialize(R.AssignVariableOp(resource=handle, value=1.0))
        nodes, sides, effects, last = [], [], [], []
        for k in range(rnd.randint(6, 22)):
            with tf.control_dependencies([rnd.choice(nodes) for _ in range(rnd.choice([0, 0, 1, 2])) if nodes]):
                kind = rnd.choice(["switch", "switch", "merge", "merge", "add", "neg", "const", "trigger", "less", "effect"])
                if kind == "switch":
                    sides.append(R.Switch(data=rnd.choice(values[-8:]), pred=rnd.choice(predicates)))
                    new = list(sides[-1])
                elif kind == "merge" and sides:
                    no, yes = rnd.choice(sides[-3:])
                    new = [R.Merge(inputs=rnd.choice([[tf.negative(no), yes], [no, yes * 2.0], [yes], [yes + 1.0, no]]))[0]]
                elif kind == "add":
                    new = [tf.add(rnd.choice(values[-6:]), rnd.choice(values))]
                elif kind == "const":
                    new = [tf.constant(float(k))]
                elif kind == "trigger":
                    nodes.append(R.ControlTrigger())
                    continue
                elif kind == "less":
                    predicates.append(tf.less(rnd.choice(values[-6:]), rnd.choice(values)))
                    nodes.append(predicates[-1].op)
                    continue
                elif kind == "effect":
                    with tf.control_dependencies(last):
                        last = [R.AssignAddVariableOp(resource=handle, value=rnd.choice(values[-6:]))]
                    effects.append(last[0])
                    nodes.append(last[0])
                    continue
                else:
                    new = [tf.negative(rnd.choice(values[-6:]))]
                values += new
                nodes.append(new[0].op)
        read = R.ReadVariableOp(resource=handle, dtype=tf.float32)
        fetchable = [value for value in values if value.op.type != "Placeholder"]
        for _ in range(3):
            fetches = [rnd.choice(fetchable) for _ in range(rnd.randint(1, 2))]
            for k in range(4):
                feeds = {predicates[0]: np.bool_(k & 1), predicates[1]: np.bool_(k & 2), values[0]: np.float32(rnd.choice([1.5, -2, 7]))}
                c.step(fetches, feeds, [rnd.choice(effects)] if effects and rnd.random() < 0.5 else [])
                c.step([read])
        settle(c)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    out = os.path.abspath(args.out_dir)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        suite = Suite("flow", args.seed)
        for seed in range(args.seed, args.seed + args.count):
            (lambda: structured(suite, seed, False), lambda: structured(suite, seed, True), lambda: dead(suite, seed))[seed % 3]()
        os.chdir(out)
        suite.save(os.path.join(out, "flow.binpb"))


if __name__ == "__main__":
    main()
