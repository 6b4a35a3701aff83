"""The shared library shows names of its own, and none of the libraries that are in it.

library_symbols.py LIBRARY
"""

import subprocess
import sys

PREFIXES = ("_ZN3hub", "_ZNK3hub", "_ZTIN3hub", "_ZTSN3hub", "_ZTVN3hub", "_ZTTN3hub")

listing = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]],
                         check=True, capture_output=True, text=True).stdout
names = [line.split()[-1].split("@")[0] for line in listing.splitlines()]
foreign = [name for name in names if not name.startswith(PREFIXES)]
if not names or foreign:
    print("%d names, of these foreign: %s" % (len(names), ", ".join(foreign[:20])))
    sys.exit(1)
