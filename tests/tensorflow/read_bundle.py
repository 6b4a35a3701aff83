"""Checks that TensorFlow reads checkpoints that tf1hub wrote.

Usage: read_bundle.py PAIRS, a file of lines "original prefix<TAB>rewritten prefix". Both must
hold the same tensors: names, dtypes, shapes and bytes. Exit status 77: there is no TensorFlow
that can be imported.
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
try:
    import tensorflow as tf
except Exception as error:  # a broken installation raises anything
    print(f"TensorFlow cannot be imported: {error}", file=sys.stderr)
    sys.exit(77)


def differences(original, rewritten):
    """Yields what differs between two checkpoints."""
    one, other = tf.train.load_checkpoint(original), tf.train.load_checkpoint(rewritten)
    shapes, other_shapes = one.get_variable_to_shape_map(), other.get_variable_to_shape_map()
    if shapes != other_shapes:
        yield f"shapes: {sorted(set(shapes.items()) ^ set(other_shapes.items()), key=str)[:4]}"
        return
    if one.get_variable_to_dtype_map() != other.get_variable_to_dtype_map():
        yield "dtypes"
    for name in shapes:
        a, b = one.get_tensor(name), other.get_tensor(name)
        same = a == b if isinstance(a, bytes) else (
            a.tobytes() == b.tobytes() if a.dtype != object else (a == b).all())
        if not same:
            yield f"value of {name}"


def main(pairs):
    failed = read = 0
    for line in open(pairs, encoding="utf-8"):
        original, rewritten = line.rstrip("\n").split("\t")
        read += 1
        for difference in differences(original, rewritten):
            failed += 1
            print(f"{original}: {difference}", file=sys.stderr)
    print(f"TensorFlow {tf.__version__}: {read} checkpoints read, {failed} differences")
    return 1 if failed or not read else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
