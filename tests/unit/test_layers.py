"""The package's layers only look down, and no module reaches into another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_campaign import __name__ as package_name

PACKAGE = Path(__file__).parents[2] / package_name
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

BOTTOM = {"campaign", "exceptions", "text"}
LAYERS: dict[str, set[str]] = {
    "exceptions": set(),
    "text": set(),
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
    "triggers": {*BOTTOM, "arguments", "client", "hooks", "platforms", "waiting"},
}
LAYERS["records"] = {*BOTTOM, "calling_hours", "client", "platforms"}
LAYERS["sweep"] = {*LAYERS["records"], "records", "waiting"}
BELOW = {*LAYERS, "triggers"}
LAYERS |= {
    "operators": BELOW,
    "sensors": BELOW,
    "timetables": {"calling_hours", "exceptions"},
}
"""What each folder or module may import, besides itself; what is not here is no part of the layers."""

ASSIGNED_ELSEWHERE = {
    ("sweep/account.py", "self._entries[campaign_id]"): "one of its own, kept in a dict",
    ("sweep/account.py", "entry"): "one of its own, kept in a dict",
}
"""Module and object whose attributes are assigned although it was not created there, and why."""


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
    outside = {"__init__", "__main__", "sandbox", "cli", "testing"}
    assert {layer_of(module) for module in MODULES} <= {*LAYERS, *outside}


def test_no_two_modules_import_each_other() -> None:
    """Not even for types: what one needs of the other is in a third, or given to it."""
    names = {f"{package_name}.{module.removesuffix('.py').replace('/', '.')}": module for module in MODULES}
    imports = {name: {source for source, _ in imports_of(MODULES[module])} for name, module in names.items()}
    layered = [name for name, module in names.items() if layer_of(module) != "sandbox"]
    assert [(name, other) for name in layered for other in imports[name] if name in imports.get(other, ())] == []


def test_no_layer_imports_the_sandbox() -> None:
    for module, tree in MODULES.items():
        if layer_of(module) not in ("sandbox", "testing"):
            assert not [source for source, _ in imports_of(tree) if ".sandbox" in source], module


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_module_imports_what_another_keeps_to_itself() -> None:
    private = [
        f"{module} imports {name} from {source}"
        for module, tree in MODULES.items()
        for source, name in imports_of(tree)
        if any(map(is_private, (*source.split("."), name)))
    ]
    assert private == []


def created_in(function: ast.AST) -> set[str]:
    """Return the variables that are bound to what a call has returned."""
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            names.update(map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target]))
    return names


def assigned_objects(tree: ast.Module) -> set[str]:
    """Return the objects, other than ``self`` and ``cls``, whose attributes are assigned where they were not made."""
    found_elsewhere: set[str] = set()
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        made, found = {"self", "cls", *created_in(scope)}, set()
        for node in ast.walk(scope):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                found.add(ast.unparse(node.value))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "object.__setattr__"):
                found.add(ast.unparse(node.args[0]))
        found_elsewhere |= found - made
    return found_elsewhere


def test_no_module_assigns_attributes_of_what_it_did_not_create() -> None:
    layered = {module: tree for module, tree in MODULES.items() if layer_of(module) not in ("sandbox", "testing")}
    found = {(module, name) for module, tree in layered.items() for name in assigned_objects(tree)}
    assert found <= set(ASSIGNED_ELSEWHERE)


def test_the_rules_notice_what_they_are_for() -> None:
    tree = ast.parse(
        "from airflow_provider_campaign.hooks.base import _hook_class\n"
        "def act(hook, made):\n    made = Made()\n    made.a = 1\n    hook.clock = 2\n    setattr(other, 'a', 1)\n"
    )
    assert list(imports_of(tree)) == [("airflow_provider_campaign.hooks.base", "_hook_class")]
    assert assigned_objects(tree) == {"hook", "other"}
