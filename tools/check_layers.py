#!/usr/bin/env python3
"""Checks the dependency rule: a layer includes itself, layers to its left, and include/hub.

Also: protobuf appears in src/format only (and apps/replay for its own messages), oneDNN in
src/ops/onednn* only, and a public header includes only the standard library and its like.
Usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys

LAYERS = ["base", "tensor", "format", "resolve", "graph", "ops", "autodiff", "runtime", "module", "train"]
ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
PROTOBUF = re.compile(r"^google/protobuf/|\.pb\.h$")


def problems(path, included):
    """Yields what is wrong with the file `path` (relative to ROOT) including `included`."""
    top, folder = path.parts[0], path.parts[1] if len(path.parts) > 2 else ""
    target = included.split("/")[0]
    if top == "src":
        if folder not in LAYERS:
            yield f"{path}: src/{folder} is no layer"
        elif target in LAYERS and LAYERS.index(target) > LAYERS.index(folder):
            yield f"{path} includes src/{included}: {folder} may not see {target}"
        elif (ROOT / "apps" / included).is_file() and not (ROOT / "src" / included).is_file():
            yield f"{path} includes apps/{included}: a layer may not see a program"
    if top == "include" and (target in LAYERS or included.startswith("..")):
        yield f"{path} includes src/{included}: a public header may not see internal ones"
    if top == "include" and not included.startswith("hub/") and "." in included:
        yield f"{path} includes {included}: a public header includes the standard library and hub/ only"
    if PROTOBUF.search(included):
        own = (top == "apps" and folder == "replay" and included.startswith("replay/"))
        if not own and not (top == "src" and folder == "format"):
            yield f"{path} includes {included}: protobuf belongs to src/format"
    if re.match(r"(oneapi/dnnl/)?dnnl\w*\.(h|hpp)$", included):
        if not (top == "src" and folder == "ops" and path.name.startswith("onednn")):
            yield f"{path} includes {included}: oneDNN belongs to src/ops/onednn*"


found = []
for folder in ("src", "include", "apps"):
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in (".h", ".cpp", ".inc"):
            for included in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
                found += problems(path.relative_to(ROOT), included)
print("\n".join(found) if found else "The layers are in order.")
sys.exit(1 if found else 0)
