#!/usr/bin/env python3
"""Runs tf1hub-replay and passes if every failed unit is a known exception.

    replay_known.py REPLAY EXCEPTIONS.json OPTION... -- PATH...

The options go to tf1hub-replay, beside --all-modes. EXCEPTIONS.json maps the id of a unit to the reason why it cannot pass. Paths that are not
there are named and left out; without any path left, the test is skipped (it prints SKIPPED).
"""
import json
import os
import subprocess
import sys
import tempfile


def main():
    replay, exceptions_path, *rest = sys.argv[1:]
    end_of_options = rest.index("--")
    options, paths = rest[:end_of_options], rest[end_of_options + 1:]
    there = [path for path in paths if os.path.exists(path)]
    for path in paths:
        if path not in there:
            print(f"there is no {path}")
    if not there:
        print("SKIPPED: none of the paths is there (set TF1HUB_SHARED_DIR or TF1HUB_LARGE_DIR)")
        return 0
    with open(exceptions_path, encoding="utf-8") as file:
        exceptions = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "units.json")
        status = subprocess.run([replay, "--all-modes", *options, "--json", result, *there]).returncode
        if status not in (0, 1):
            return status
        with open(result, encoding="utf-8") as file:
            units = json.load(file)
    failed = [unit["id"] for unit in units if unit["status"] != "passed"]
    unknown = [unit for unit in failed if unit not in exceptions]
    print(f"{len(units)} units, {len(failed)} failed, of them {len(failed) - len(unknown)} known exceptions")
    return 1 if unknown or not units else 0


if __name__ == "__main__":
    sys.exit(main())
