"""
The public names of the ws4py that is installed, by module: its classes and what they have, functions, values.

They are read in its sources, which are not imported: two of its modules cannot be, since Python 3.11.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["MODULES", "find_names"]


def _find_folder() -> Path:
    spec = find_spec("ws4py")
    assert spec is not None, "ws4py is not installed: pip install ws4py_middleware[test]"
    assert spec.origin is not None
    return Path(spec.origin).parent


_FOLDER = _find_folder()

#: Name of each public module → its file.
MODULES: dict[str, Path] = {
    ".".join(["ws4py", *path.relative_to(_FOLDER).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(_FOLDER.rglob("*.py"))
    if path.name == "__init__.py" or not path.name.startswith("_")
}


def find_names(module: str) -> set[str]:
    """Find the names of a module, ``Class.attribute`` among them; none that begins with an underscore."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return {name for name in _walk(tree.body) if not any(part.startswith("_") for part in name.split("."))}


def _walk(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
                for member in _walk_class(statement):
                    yield f"{name}.{member}"
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield from (
                            ast.literal_eval(statement.value) if target.id == "__all__" else [target.id]
                        )
            case ast.If() if "__name__" in ast.unparse(statement.test):
                pass  # what is only there when the module is run as a program
            case ast.If() | ast.Try():
                yield from _walk([*statement.body, *statement.orelse])
                for handler in statement.handlers if isinstance(statement, ast.Try) else ():
                    yield from _walk(handler.body)


def _walk_class(definition: ast.ClassDef) -> Iterator[str]:
    for statement in definition.body:
        match statement:
            case ast.FunctionDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
    for node in ast.walk(definition):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
