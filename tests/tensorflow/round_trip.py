"""Real TensorFlow finds in the modules that `tf1hub export` wrote what it recorded of the originals.

round_trip.py TF1HUB ZOO ORACLE [NAME...]; exit status 77 unless TF1HUB_TENSORFLOW_PYTHON names a
Python that has TensorFlow.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

NUMBERS = re.compile(r"^.*: (\S+) / (\S+)$")


def check(oracle, folder, name):
    """What differs, but for rounding: TensorFlow's own results vary in the last bits."""
    sys.path.insert(0, oracle)
    import numpy
    import zoo

    class Numpy:
        def __getattr__(self, key):
            return getattr(numpy, key)

        @staticmethod
        def allclose(x, y, *_, **__):
            largest = numpy.max(numpy.abs(x[numpy.isfinite(x)]), initial=0.0)
            return numpy.allclose(x, y, 1e-3, 1e-4 * largest, equal_nan=True)

    zoo.np = Numpy()
    found = []
    for difference in zoo.check(folder, name, True):
        numbers = NUMBERS.match(difference)
        try:
            a, b = (float(text) for text in numbers.groups())
            # Adam moves by the sign of a gradient that is rounding noise.
            noise = 1e-2 if "variables_after" in difference else 1e-5
            if abs(a - b) <= max(1e-2 * max(abs(a), abs(b)), noise):
                continue
        except (AttributeError, ValueError):
            pass
        found.append(difference)
    return found


def main():
    if sys.argv[1] == "--check":
        found = check(*sys.argv[2:])
        print("; ".join(found))
        sys.exit(1 if found else 0)
    tf1hub, originals, oracle = sys.argv[1:4]
    python = os.environ.get("TF1HUB_TENSORFLOW_PYTHON")
    if not python or subprocess.run([python, "-c", "import tensorflow_hub"],
                                    capture_output=True).returncode != 0:
        print("SKIPPED: TF1HUB_TENSORFLOW_PYTHON names no Python with TensorFlow")
        sys.exit(77)
    names = sys.argv[4:] or sorted(
        name for name in os.listdir(originals)
        if os.path.exists(os.path.join(originals, name, "golden.json")))
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(originals):  # scenarios name modules beside theirs
            if not os.path.isdir(os.path.join(originals, name, "module")):
                continue
            os.makedirs(os.path.join(folder, name))
            for golden in ("golden.json", "golden.npz"):
                source = os.path.join(originals, name, golden)
                if os.path.exists(source):
                    shutil.copy(source, os.path.join(folder, name))
            subprocess.run([tf1hub, "export", os.path.join(originals, name, "module"),
                            os.path.join(folder, name, "module")],
                           check=True, stdout=subprocess.DEVNULL)
        for name in names:
            result = subprocess.run([python, os.path.abspath(__file__), "--check", oracle, folder,
                                     name], capture_output=True, text=True)
            lines = result.stdout.strip().splitlines() or result.stderr.strip().splitlines()
            print(name, "same" if result.returncode == 0 else lines[-1], flush=True)
            if result.returncode != 0:
                failed.append(name)
    sys.exit(1 if failed else 0)


main()
