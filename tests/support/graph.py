"""The graph of mpreg's imports, read from its source, also inside functions."""

import ast
from pathlib import Path

import mpreg

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("mpreg", "callbacks", "recipes")


def module_of(path, root=ROOT):
    """The name that a source file is imported by: `callbacks/x.py` is `mpreg.callbacks.x`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts if parts[0] == "mpreg" else ("mpreg", *parts)).removesuffix(".__init__")


def modules(root=ROOT):
    """Source files of mpreg by module name."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    return {module_of(path, root): path for path in paths}


def room_of(module):
    """The room that a module is in: `mpreg.attacks.gap` is in `attacks`; the package itself is in none, `""`."""
    return f"{module}.".split(".")[1]


def imports_of(path, known, root=ROOT):
    """Yields `(module, line)` for each module among `known` that a file imports, wherever in the file.

    What it reads of the top level (`mpreg.evaluate`) counts too, for that imports the module the name is in.
    """
    own = module_of(path, root)
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for name in dict.fromkeys(_named(node, package, known)):
            while name and name not in known:  # a name in a module
                name = name.rpartition(".")[0]
            if name:
                yield name, node.lineno


def _named(node, package, known):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        base = parents[: len(parents) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        # What is imported from a package may be a module of it.
        return [inner if (inner := f"{source}.{alias.name}") in known else source for alias in node.names]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mpreg":
        return [mpreg._EXPORTS.get(node.attr, f"mpreg.{node.attr}")]
    return []


def graph(root=ROOT):
    """Modules that each module imports, as a dict of sets; a package and its modules are nodes of their own."""
    known = modules(root)
    return {module: {name for name, _ in imports_of(path, known, root)} for module, path in known.items()}


def circles(edges):
    """Modules that import each other, directly or through others: a sorted list for each circle (Tarjan 1972)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
                on_stack.discard(circle[-1])
            if len(circle) > 1 or node in edges.get(node, ()):
                found.append(sorted(circle))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found
