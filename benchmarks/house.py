"""The house in figures: size, files that serve one other file, circles, an image's way from bytes to rank.

    python benchmarks/house.py [ROOT...] [--way]

One column a checkout (default: this one), so that two commits stand side by side: ``git worktree add OLD
COMMIT`` and name both. ``--way`` runs the checkout as well: one bundled network over the sample images and
the board's page of the result, with every function call watched; it needs the packages of ``make demo``.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

PACKAGE = "imagenet_hard"

WATCH = """
import json, runpy, sys, threading
from pathlib import Path

out, package = Path(sys.argv[1]), sys.argv[2]
files, records = set(), set()

def watch(frame, event, arg):
    if event != "call":
        return
    code = frame.f_code
    if code.co_name == "__init__":  # a record that is made: a dataclass, a pydantic model
        for base in type(frame.f_locals.get("self")).__mro__:
            if base.__module__.startswith(package) and not issubclass(base, BaseException):
                records.add(f"{base.__module__}.{base.__qualname__}")
                break
    if f"/{package}/" in code.co_filename and code.co_name != "<module>":
        files.add(code.co_filename.rpartition(f"/{package}/")[2])

def run(*arguments):
    sys.argv = ["imagenet-hard", *arguments]
    try:
        runpy.run_module(f"{package}.cli.main", run_name="__main__", alter_sys=True)
    except SystemExit as done:
        assert not done.code, (arguments, done.code)

sys.setprofile(watch)
threading.setprofile(watch)
run("eval", "--model", "efficientnet_lite0", "--dataset", "sample", "--out", str(out / "results"))
run("leaderboard", "preview", str(out / "results"), "--out", str(out / "page"))
sys.setprofile(None)
(out / "way.json").write_text(json.dumps([sorted(files), sorted(records)]))
"""


def modules(root: Path) -> dict[str, Path]:
    """Name -> file, of every file of the package that holds more than its docstring."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if len(ast.parse(path.read_text("utf-8")).body) > 1:
            found[name] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """The package's modules that a module imports, also inside functions, each with the lines it takes."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                names = [f"{module}.{each}" if f"{module}.{each}" in known else module for each in names]
            for each in dict.fromkeys(names):
                yield each, lines


def figures(root: Path) -> dict[str, float]:
    """Of the sources alone; nothing is run."""
    known = modules(root)
    places = {name: i for i, name in enumerate(known)}
    edges, lines, import_lines = set(), 0, 0
    for name, path in known.items():
        text = path.read_text("utf-8")
        lines += text.count("\n")
        tree = ast.parse(text)
        import_lines += sum(
            (node.end_lineno or node.lineno) - node.lineno + 1
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
        )
        edges |= {(places[name], places[each]) for each, _ in imports(name, path, known) if each in places}
    edges = {(a, b) for a, b in edges if a != b}
    importers = np.bincount([b for _, b in edges], minlength=len(known))
    graph = csr_array((np.ones(len(edges)), tuple(zip(*edges, strict=True))), shape=(len(known),) * 2)
    _, component = connected_components(graph, connection="strong")
    circles = np.bincount(component)
    tests = [path.read_text("utf-8").count("\n") for path in (root / "tests").rglob("*.py")]
    top = [path for path in (root / PACKAGE).iterdir() if path.suffix == ".py" or any(path.glob("*.py"))]
    return {
        "names in the package's folder": len([p for p in top if p.name != "__init__.py"]),
        "files": len(known),
        "lines": lines,
        "median lines of a file": float(np.median([p.read_text().count("\n") for p in known.values()])),
        "files with one importer": int((importers == 1).sum()),
        "imports, % of lines": round(100 * import_lines / lines, 1),
        "files in circles": int(circles[circles > 1].sum()),
        "files of tests": len([n for n in tests if n]),
        "lines of tests": sum(tests),
    }


def way(root: Path) -> dict[str, float]:
    """Files whose functions ran and kinds of records that were made, from an image's bytes to a rank."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-c", WATCH, folder, PACKAGE],
            check=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
        )
        files, records = json.loads((Path(folder) / "way.json").read_text())
    return {"files from bytes to rank": len(files), "kinds of records on the way": len(records)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("roots", nargs="*", type=Path, metavar="ROOT", default=[here])
    parser.add_argument("--way", action="store_true", help="run each checkout too, and watch it")
    options = parser.parse_args()
    columns = [
        figures(root.resolve()) | (way(root.resolve()) if options.way else {}) for root in options.roots
    ]
    for name in columns[0]:
        print(f"{name:32}", *(f"{column[name]:>10g}" for column in columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
