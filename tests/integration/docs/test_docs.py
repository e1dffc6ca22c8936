"""What the README and the documentation show is true: code runs, commands and links exist."""

from __future__ import annotations

import inspect
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography.fernet import Fernet

from airflow_provider_campaign import exceptions, timetables
from airflow_provider_campaign.get_provider_info import get_provider_info
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.hooks.sonarly import SonarlyHook
from airflow_provider_campaign.operators import campaign as operators
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.seeds import SEEDS
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from tests.airflow_process import AirflowProcess
from tests.integration.docs import docs_runner
from tests.kinds import Connect
from tests.servers import LocalServer, Reply, Sent

REPOSITORY = Path(__file__).parents[3]
PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
EXPORT = re.compile(r"^export (AIRFLOW_CONN_\w+)='(.*?)'$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """
    A block of code on a page.

    :param line: The line of the page that it begins on.
    """

    page: Path
    line: int
    language: str
    code: str

    @property
    def title(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The file that the block is the content of, as its first line says."""
        match = FILE_NAME.match(self.code)
        return match.group(1) if match else None


@cache
def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text[: match.start()].count("\n") + 1, match.group(1), match.group(2))
        for match in FENCE.finditer(text)
    ]


def blocks_in(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def relative(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.fixture
def accounts() -> Iterator[dict[str, str]]:
    """Run what the documentation's connections lead to; return the variables that hold them."""
    with Sandbox(rate_limit=None, campaigns=len(SEEDS)) as sandbox, acme_platform() as acme:
        acme_connection = {"conn_type": "acme", "host": acme.url, "login": "me", "password": "not-a-real-one"}
        connections: dict[str, dict[str, Any]] = {**sandbox.connections(), "acme": acme_connection}
        yield {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}


def acme_platform() -> LocalServer:
    """Return the platform of the page "Adding a platform", with two campaigns."""
    campaigns = {
        "spring": {"id": "spring", "state": "active", "title": "Spring sale"},
        "summer": {"id": "summer", "state": "active", "title": "Summer sale"},
    }

    def respond(sent: Sent) -> Reply:
        _, campaign_id, action = (*sent.target.strip("/").split("/"), "", "")[:3]
        if action == "stop":
            campaigns[campaign_id]["state"] = "stopped"
        document = campaigns[campaign_id] if campaign_id else {"campaigns": list(campaigns.values())}
        return Reply(json.dumps(document).encode())

    return LocalServer(respond)


def install(files: list[Block], folder: Path) -> None:
    """Lay out the files that a page shows as installing them would."""
    for block in files:
        assert block.file_name is not None
        path = folder / block.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code)
        if block.file_name == "pyproject.toml" and "[project]" in block.code:
            project = tomllib.loads(block.code)["project"]
            metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
            lines = [
                f"[{group}]\n" + "\n".join(f"{name} = {target}" for name, target in entries.items())
                for group, entries in project["entry-points"].items()
            ]
            (metadata / "entry_points.txt").write_text("\n".join(lines))


def test_the_python_on_every_page_runs(accounts: dict[str, str], tmp_path: Path, shared_folder: Path) -> None:
    """
    All blocks run in one process, for importing Airflow costs more than any of them, each in its own namespace.

    The connection that most use stands in the database only, as one that was made in the UI does.
    """
    home = tmp_path / "home"
    home.mkdir()
    AirflowProcess(home, {}).migrate(shared_folder)
    in_database = {"campaign_default": accounts.pop("AIRFLOW_CONN_CAMPAIGN_DEFAULT")}
    install([block for page in PAGES for block in blocks(page) if block.file_name], tmp_path / "installed")
    scripts = [block for block in blocks_in("python") if not block.file_name]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")},
        **accounts,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), str(REPOSITORY)]),
    }
    done = subprocess.run(
        [sys.executable, docs_runner.__file__],
        input=json.dumps({"connections": in_database, "blocks": [(block.title, block.code) for block in scripts]}),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    begun = re.findall(r"^\S+\.md:\d+", done.stdout, re.MULTILINE)
    assert begun == [block.title for block in scripts]


@pytest.mark.parametrize("block", blocks_in("json", "toml"), ids=lambda block: block.title)
def test_json_and_toml_can_be_read(block: Block) -> None:
    {"json": json.loads, "toml": tomllib.loads}[block.language](block.code)


@pytest.mark.parametrize("block", blocks_in("bash", "console", "sh"), ids=lambda block: block.title)
def test_commands_exist(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {info["connection-type"] for info in get_provider_info()["connection-types"]}
    for _, connection in EXPORT.findall(block.code):
        assert json.loads(connection)["conn_type"] in known
    for line in EXPORT.sub("", block.code).replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            check_command(words, monkeypatch)


def check_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that there is such a command, as far as can be told without doing what it does."""
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{re.escape(target)}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), target
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            get_parser().parse_args(arguments)
        case ["python", "-m", "build" | "twine" | "benchmarks.import_cost" as module, *_]:
            __import__(module)
        case ["python", script, *_] if script.endswith(".py"):
            assert (REPOSITORY / script).exists()
        case ["python", "-m", module, *arguments]:
            monkeypatch.setattr(sys, "argv", [module, *arguments, "--help"])
            with pytest.raises(SystemExit) as end:
                runpy.run_path(file_of(module), run_name="__main__")
            assert end.value.code == 0, words
        case ["curl", "-H", "Content-Type: application/json", url, "-d", fault] if url.endswith("/_sandbox/faults"):
            Fault(**json.loads(fault))
        case ["pip", "install", requirement] | ["pip", "install", requirement, "pytest"]:
            name, _, extras = requirement.rstrip("]").partition("[")
            project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
            assert name in (project["name"], ".")
            assert set(filter(None, extras.split(","))) <= project["optional-dependencies"].keys()
        case ["git", "clone", *_] | ["cd", _] | ["export", *_]:
            pass
        case _:
            pytest.fail(f"nothing is known of the command {shlex.join(words)}")


def file_of(module: str) -> str:
    """Return the file that ``python -m`` runs; where pytest rewrites the package, ``run_module`` can't load it."""
    found = find_spec(module)
    if found is not None and found.submodule_search_locations:
        found = find_spec(f"{module}.__main__")
    assert found is not None, module
    assert found.origin is not None, module
    return found.origin


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{relative(page)} links to {target}"
        assert file.suffix != ".md" or page.parent != REPOSITORY / "docs" or file.resolve().parent == page.parent, (
            f"{relative(page)} links to {target}, which the site does not have"
        )
        if anchor:
            assert anchor in anchors(file), f"{relative(page)} links to {target}"
    # Links to the outside are not followed here, so each host has to be a platform's, this machine, or an example.
    hosts = re.findall(r"https?://([\w.-]+)", page.read_text(encoding="utf-8"))
    assert set(hosts) <= {"platform.kore.ai", "api.sonarly.io", "127.0.0.1", "campaigns.example.com"}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_picture_is_shown_and_the_index_has_every_page() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in REPOSITORY.glob("docs/images/*"):
        assert f"images/{picture.name})" in shown
    index = (REPOSITORY / "docs/README.md").read_text(encoding="utf-8")
    for page in {page.name for page in PAGES} - {
        "README.md",
        "index.md",
    }:  # the index itself, and its frame on the site
        assert f"({page})" in index


def test_the_api_reference_has_every_public_name() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in REPOSITORY.glob("docs/api/*.rst"))
    assert f"autoapimodule:: {exceptions.__name__}\n" in text
    for module in (operators, timetables):
        for name in module.__all__:
            assert f":: {module.__name__}.{name}\n" in text
    for public in (CampaignStatusSensor, CampaignStatusTrigger, CampaignHook, KoreHook, SonarlyHook):
        assert f":: {public.__module__}.{public.__name__}\n" in text


def test_the_connection_page_has_every_field() -> None:
    text = (REPOSITORY / "docs/connections.md").read_text(encoding="utf-8")
    for info in get_provider_info()["connection-types"]:
        labels = list(info["ui-field-behaviour"]["relabeling"].values())
        labels += [field["label"].removesuffix(" (seconds)") for field in info["conn-fields"].values()]
        for label in labels:
            assert re.search(rf"^\| .*{re.escape(label)}.* \|", text, re.MULTILINE), label
        for name in info["conn-fields"]:
            assert f"`extra.{name}`" in text


def test_the_operator_page_has_every_operator_and_argument() -> None:
    text = (REPOSITORY / "docs/operators.md").read_text(encoding="utf-8")
    public = [getattr(operators, name) for name in operators.__all__ if name != "CampaignOperator"]
    for operator in [*public, CampaignStatusSensor]:
        assert f"`{operator.__name__}`" in text
        for base in operator.__mro__:
            if base.__module__.startswith("airflow_provider_campaign") and "__init__" in vars(base):
                arguments = set(inspect.signature(base.__init__).parameters) - {"self", "kwargs"}
                assert {argument for argument in arguments if f"`{argument}`" not in text} == set(), operator


def test_every_error_is_on_the_pages_that_list_them() -> None:
    for page in ("operators.md", "what-happens-when.md"):
        text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
        assert {name for name in exceptions.__all__ if f"`{name}`" not in text} == set(), page


def test_the_pages_show_the_result_of_a_sweep_as_it_is(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign()
    result = operators.StopActiveCampaignsOperator(task_id="sweep").execute({})
    table = (REPOSITORY / "docs/sweep.md").read_text(encoding="utf-8")
    assert {key for key in result if f"`{key}`" not in table} == set()
    shown = [json.loads(block.code) for block in blocks(REPOSITORY / "docs/operators.md") if block.language == "json"]
    assert [example.keys() for example in shown if "name" in example] == [result["stopped"][0].keys()]


ARCHITECTURE = REPOSITORY / "docs/architecture.md"
DRAWING = REPOSITORY / "docs/images/architecture.svg"
PACKAGE = "airflow_provider_campaign"


def layers() -> dict[str, float]:
    """Return the height of each layer in the drawing of the architecture."""
    labels = ElementTree.parse(DRAWING).iterfind(".//{*}text[@class='layer']")
    return {str(label.text): -float(label.attrib["y"]) for label in labels}


def test_the_layers_import_only_what_is_below_them() -> None:
    heights = layers()
    assert len(heights) == 9
    for name, height in heights.items():
        path = REPOSITORY / PACKAGE / name
        for module in path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
            for imported in re.findall(rf"^\s*from {PACKAGE}\.(\w+)", module.read_text(), re.MULTILINE):
                assert heights.get(imported, height) <= height, f"{module.name} imports {imported}"


def test_the_way_of_a_stop_names_what_there_is() -> None:
    steps = re.findall(r"`(\w+/\w+)\.py` `([\w.]+)`", ARCHITECTURE.read_text(encoding="utf-8"))
    assert len(steps) > 20
    for module, name in steps:
        assert resolve_name(f"{PACKAGE}.{module.replace('/', '.')}:{name}")
