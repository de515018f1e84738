"""
Sphinx: names in docstrings and annotations mean what they mean in Python.

Sphinx guesses from the end of a name. Here a name is looked up where it stands, in its class, its module and
what that imports (for types only, too), and leads to where the thing is documented. What is real but has no
place in the reference, as the standard library and what is internal, stays text. What Python does not find is
left to Sphinx, which warns.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

from scripts.lib.docs.names import PACKAGE, find_modules, is_told_elsewhere

#: In annotations, what is not in the environment of whoever builds the documentation.
ABSENT: Any = object()
#: What Napoleon is needed for.
SECTIONS = ("Args:", "Returns:", "Raises:")


@cache
def find_type_imports(module_name: str) -> dict[str, tuple[str, str]]:
    """Return what a module imports under ``if TYPE_CHECKING:``, by the name that it has there."""
    path = getattr(sys.modules[module_name], "__file__", None)
    if path is None or not path.endswith(".py"):
        return {}
    package = module_name if path.endswith("__init__.py") else module_name.rpartition(".")[0]
    found = {}
    for block in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for statement in block.body:
                if isinstance(statement, ast.ImportFrom):
                    parents = package.split(".")[: len(package.split(".")) + 1 - statement.level]
                    source = ".".join(
                        [*(parents if statement.level else []), *filter(None, [statement.module])]
                    )
                    for alias in statement.names:
                        found[alias.asname or alias.name] = (source, alias.name)
                elif isinstance(statement, ast.Import):
                    for alias in statement.names:
                        found[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
    return found


@cache
def import_optional(name: str) -> Any:
    """Import a module that may be missing, once: it takes long to find out that one is."""
    try:
        return import_module(name)
    except ImportError:
        return ABSENT


def look_up(name: str, scope: Any) -> Any:
    """Follow a dotted name from a module or a class; raise AttributeError or KeyError where it ends."""
    thing = scope
    for part in name.split("."):
        if thing is ABSENT:
            return ABSENT
        if isinstance(thing, ModuleType):
            thing = look_up_in_module(part, thing)
        elif isinstance(thing, type) and not hasattr(thing, part) and part in find_attributes(thing):
            thing = ABSENT
        else:
            thing = getattr(thing, part)
    return thing


@cache
def find_attributes(cls: type) -> set[str]:
    """Return the attributes of the instances of a class: those that are annotated, and what methods set."""
    found = {name for base in cls.__mro__ for name in inspect.get_annotations(base)}
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == PACKAGE:
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
                    found.add(node.attr)
    return found


def look_up_in_module(name: str, module: ModuleType) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    imported = find_type_imports(module.__name__).get(name)
    if imported is not None:
        source = import_optional(imported[0])
        return look_up(imported[1], source) if imported[1] else source
    if module.__name__.partition(".")[0] in {PACKAGE, *sys.stdlib_module_names}:
        try:
            return import_module(f"{module.__name__}.{name}")
        except ImportError:
            raise AttributeError(name) from None
    raise AttributeError(name)


def find_scopes(name: str, module_name: str | None, class_name: str | None) -> Iterator[Any]:
    """Go through the places where Python, or a reader, looks for a name."""
    if module_name is not None:
        module = import_module(module_name)
        if class_name is not None:
            cls = look_up(class_name, module)
            yield cls
            # A method speaks of its neighbour in the module that defines it.
            yield from (sys.modules[base.__module__] for base in getattr(cls, "__mro__", ())[1:-1])
        yield module
        if "." in name:  # a neighbour and what is in it
            yield import_module(module.__package__ or PACKAGE)
    yield builtins
    yield import_module(PACKAGE)


def find(name: str, module_name: str | None, class_name: str | None) -> Any:
    """Return what a name stands for where it is written; raise LookupError."""
    for scope in find_scopes(name, module_name, class_name):
        try:
            return look_up(name, scope)
        except AttributeError:
            continue
    first, _, rest = name.partition(".")
    top = import_optional(first)
    if top is ABSENT:
        raise LookupError(name)
    try:
        return look_up(rest, top) if rest else top
    except AttributeError:
        raise LookupError(name) from None


class PythonNames(SphinxPostTransform):
    """Give each reference to a Python name the name under which it is documented, or make it text."""

    default_priority = 5  # before Sphinx's own, 10

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "py":
                self.name(node)

    def name(self, node: pending_xref) -> None:
        target = node["reftarget"].removeprefix(".").removesuffix("()")
        documented = self.env.domains["py"].objects
        try:
            thing = find(target, node.get("py:module"), node.get("py:class"))
        except LookupError:
            return
        name = self.find_documented(target, thing, node)
        if name in documented:
            node["reftarget"] = name
            node["refspecific"] = False
            if node.get("reftype") not in ("mod", "obj"):
                node["reftype"] = "obj"
            for key in ("py:module", "py:class"):
                node[key] = None
        else:
            node.replace_self(node.children)

    def find_documented(self, target: str, thing: Any, node: pending_xref) -> str:
        documented = self.env.domains["py"].objects
        if isinstance(thing, ModuleType):
            return thing.__name__
        # Attributes and constants know no name of their own: it is that of what has them.
        owner, _, attribute = target.rpartition(".")
        names = [f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"]
        class_name, module_name = node.get("py:class"), node.get("py:module")
        if owner:
            try:
                holder = find(owner, module_name, class_name)
            except LookupError:
                holder = None
            if isinstance(holder, ModuleType):
                names.append(f"{holder.__name__}.{attribute}")
            elif isinstance(holder, type):
                names += [f"{base.__module__}.{base.__qualname__}.{attribute}" for base in holder.__mro__]
        if class_name and module_name:
            holder = look_up(class_name, import_module(module_name))
            for base in getattr(holder, "__mro__", ()):
                names.append(f"{base.__module__}.{base.__qualname__}.{target}")
        if module_name:
            names.append(f"{module_name}.{target}")
            source = find_type_imports(module_name).get(target)
            if source is not None:
                names.append(".".join(source))
        for name in names:
            if name in documented:
                return name
        if isinstance(thing, type | FunctionType):
            exported = [name for name in documented if name.rpartition(".")[2] == thing.__name__]
            for name in exported:
                try:
                    if find(name, None, None) is thing:
                        return str(name)
                except LookupError:
                    continue
        return ""


_Lines = list[str]


def keep_lines(app: Sphinx, what: str, name: str, obj: object, options: object, lines: _Lines) -> None:
    """Keep from Napoleon what is said of an attribute: it takes what is before the first colon for a type."""
    if what in ("attribute", "data", "property") and not any(line.endswith(SECTIONS) for line in lines):
        app.env.temp_data[f"lines of {name}"] = list(lines)


def restore_lines(app: Sphinx, what: str, name: str, obj: object, options: object, lines: _Lines) -> None:
    kept: _Lines | None = app.env.temp_data.pop(f"lines of {name}", None)
    if kept is not None:
        lines[:] = kept


def show_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Make Python of what dataclasses show for a default that a function makes."""
    return signature and signature.replace("<factory>", "..."), returned


def leave_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: object) -> bool | None:
    """Leave out what is another library's, and what is inherited and has its place elsewhere."""
    if what == "module" and isinstance(obj, type) and obj.__module__.partition(".")[0] != PACKAGE:
        return True
    class_name = app.env.temp_data.get("autodoc:class")
    if what not in ("class", "exception") or not class_name:
        return None
    cls = look_up(class_name, import_module(app.env.temp_data["autodoc:module"]))
    return is_told_elsewhere(cls, name) or None


def order_names(app: Sphinx) -> None:
    """Show what a module has in the order of its source, and not in that of the alphabet."""
    for name in find_modules():
        module = import_module(name)
        if getattr(module, "__all__", None):
            source = Path(str(module.__file__)).read_text(encoding="utf-8")
            module.__all__.sort(key=partial(find_place, source))


def find_place(source: str, name: str) -> int:
    """Return where a module defines a name; what it takes from another one comes first."""
    found = re.search(rf"^(?:class |def |async def )?{name}\b", source, re.MULTILINE)
    return found.start() if found else 0


def shorten_contents(app: Sphinx, doctree: nodes.document) -> None:
    """Leave methods out of the contents: all are in the tree of every page, which takes half of the time."""
    for item in app.env.tocs[app.env.docname].findall(nodes.list_item):
        link = next(item.findall(nodes.reference))
        if link["anchorname"].startswith(f"#{PACKAGE}."):
            item[:] = [child for child in item.children if not isinstance(child, nodes.bullet_list)]


def link_in_site(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead to the page where a link of the checkout leads to a folder, or to the README."""
    source[0] = re.sub(r"\]\((?:\.\./)+examples/(\w+)/?\)", r"](/reference/examples.md#\1)", source[0])
    source[0] = re.sub(r"\]\((?:\.\./)+README\.md(#[^)]*)?\)", r"](/index.md)", source[0])


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_post_transform(PythonNames)
    app.connect("autodoc-process-signature", show_signature)
    app.connect("autodoc-process-docstring", keep_lines, priority=400)
    app.connect("autodoc-process-docstring", restore_lines, priority=600)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("builder-inited", order_names)
    app.connect("doctree-read", shorten_contents, priority=600)  # once Sphinx has made the list
    app.connect("source-read", link_in_site)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
