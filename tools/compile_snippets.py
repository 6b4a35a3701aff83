#!/usr/bin/env python3
"""Compiles the C++ snippets of the pages of docs/: each ```cpp block must be valid.

usage: compile_snippets.py COMPILER INCLUDE_DIR PAGE...

A block is the body of a function. What it takes as given stands in a comment right before it:
`<!-- given: hub::Graph graph; -->`. A block after `<!-- top level -->` stands outside of functions,
and the page's later blocks see it.
"""

import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(
    r"(?:<!-- given:(?P<given>.*?)-->\n|<!-- (?P<top>top level) -->\n)?```cpp\n(?P<code>.*?)```\n",
    re.DOTALL)


def program(page: pathlib.Path) -> tuple[str, int]:
    """The page's blocks as one program, with the lines that they have in the page."""
    text = page.read_text()
    includes = ["#include <hub/hub.h>", "#include <string>", "#include <vector>"]
    parts = []
    count = 0
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("code")) + 1
        code = []
        for statement in block["code"].splitlines():
            if statement.startswith("#include"):
                includes.append(statement)
                code.append("")
            else:
                code.append(statement)
        body = "\n".join(code)
        place = f'#line {line} "{page}"\n'
        if block["top"]:
            parts.append(f"{place}{body}\n")
        else:
            given = " ".join((block["given"] or "").split())
            parts.append(f"void snippet_{count}() {{\n{given}\n{place}{body}\n}}\n")
        count += 1
    return "\n".join(includes) + "\n" + "\n".join(parts), count


def main() -> int:
    compiler, include_dir, *pages = sys.argv[1:]
    total = 0
    for page in map(pathlib.Path, pages):
        code, count = program(page)
        if count == 0:
            continue
        total += count
        done = subprocess.run(
            [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
             "-Wno-unused-variable", "-Wno-unused-but-set-variable", "-Wno-unused-parameter",
             "-Wno-unused-function", "-I", include_dir, "-x", "c++", "-"],
            input=code, text=True, check=False)
        if done.returncode != 0:
            print(f"{page}: a snippet does not compile", file=sys.stderr)
            return 1
    print(f"{total} snippets compile")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
