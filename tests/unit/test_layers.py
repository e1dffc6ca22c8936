"""The package's layers only look down, and no module reaches into another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from airflow_provider_campaign import __name__ as package_name

PACKAGE = Path(__file__).parents[2] / package_name
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

BOTTOM = {"campaign", "exceptions", "text"}
LAYERS: dict[str, set[str]] = {
    "exceptions": set(),
    "text": set(),
    "version_compat": set(),
    "get_provider_info": set(),
    "ui": {"calling_hours", "exceptions"},
    "campaign": {"exceptions", "text"},
    "calling_hours": BOTTOM,
    "arguments": {*BOTTOM, "calling_hours", "platforms"},
    "platforms": BOTTOM,
    "client": {*BOTTOM, "platforms"},
    "waiting": {*BOTTOM, "client", "platforms"},
    "check": {*BOTTOM, "calling_hours", "client", "platforms", "waiting"},
    "hooks": {*BOTTOM, "client", "platforms", "waiting", "get_provider_info"},
    "triggers": {*BOTTOM, "arguments", "client", "hooks", "platforms", "waiting", "version_compat"},
}
LAYERS["records"] = {*BOTTOM, "calling_hours", "client", "platforms"}
LAYERS["sweep"] = {*LAYERS["records"], "records", "waiting"}
BELOW = {*LAYERS, "triggers"}
LAYERS |= {
    "operators": BELOW,
    "sensors": BELOW,
    "timetables": {"calling_hours", "exceptions", "version_compat"},
    "cli": {*BELOW, "operators"},
    "__main__": {"cli"},
}
"""What each folder or module may import, besides itself; the sandbox, which none imports, is no part of the layers."""


def layer_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def imports_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each module of the package that is imported from, and the name that is taken; wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            if node.module and node.module.split(".")[0] == package_name:
                yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "*") for alias in node.names if alias.name.split(".")[0] == package_name)


def test_every_module_imports_from_the_layers_below_only() -> None:
    upwards = [
        f"{module} imports {name} from {source}"
        for module, tree in MODULES.items()
        for source, name in imports_of(tree)
        if layer_of(module) in LAYERS
        and [*source.split("."), name][1] not in {*LAYERS[layer_of(module)], layer_of(module), "__version__"}
    ]
    assert upwards == []


def test_every_folder_has_its_place_among_the_layers() -> None:
    outside = {"__init__", "sandbox", "testing"}
    assert {layer_of(module) for module in MODULES} <= {*LAYERS, *outside}


def test_no_two_modules_import_each_other() -> None:
    """Not even for types: what one needs of the other is in a third, or given to it."""
    names = {f"{package_name}.{module.removesuffix('.py').replace('/', '.')}": module for module in MODULES}
    imports = {name: {source for source, _ in imports_of(MODULES[module])} for name, module in names.items()}
    layered = [name for name, module in names.items() if layer_of(module) != "sandbox"]
    assert [(name, other) for name in layered for other in imports[name] if name in imports.get(other, ())] == []


def test_no_module_imports_what_another_keeps_to_itself() -> None:
    private = [
        f"{module} imports {name} from {source}"
        for module, tree in MODULES.items()
        for source, name in imports_of(tree)
        if any(re.match("_(?!_)", part) for part in (*source.split("."), name))
    ]
    assert private == []


def test_the_drawing_of_the_layers_has_each_above_those_that_it_may_import() -> None:
    drawing = ElementTree.parse(PACKAGE.parent / "docs/images/architecture.svg")
    labels = drawing.iterfind(".//{*}text[@class='layer']")
    heights = {str(label.text): -float(label.attrib["y"]) for label in labels}
    assert len(heights) == 9
    below = {name: {other for other in LAYERS[layer_of(name)] if other in heights} for name in heights}
    assert [(name, other) for name in heights for other in below[name] if heights[other] > heights[name]] == []
