"""What the README and the documentation show is true: code runs, commands and links exist."""

from __future__ import annotations

import configparser
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import pytest

from airflow_provider_campaign import exceptions, timetables
from airflow_provider_campaign.__main__ import build_parser
from airflow_provider_campaign.get_provider_info import get_provider_info
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.hooks.sonarly import SonarlyHook
from airflow_provider_campaign.operators import campaign as operators
from airflow_provider_campaign.sandbox import Fault, Sandbox
from airflow_provider_campaign.sandbox.__main__ import parse_arguments
from airflow_provider_campaign.sandbox.seeds import SEEDS
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger
from tests.airflow_process import variables_of
from tests.integration.docs import docs_runner
from tests.kinds import Connect
from tests.servers import LocalServer, Reply, Sent

REPOSITORY = Path(__file__).parents[3]
PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOT_PAGES = [REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md")]
PACKAGE = "airflow_provider_campaign"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
EXPORT = re.compile(r"^export AIRFLOW_CONN_\w+='(.*?)'$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    title: str
    language: str
    code: str

    @property
    def file_name(self) -> str | None:
        """The file that the block is the content of, as its first line says."""
        match = FILE_NAME.match(self.code)
        return match and match[1]


def docs(page: str) -> str:
    return (REPOSITORY / "docs" / page).read_text(encoding="utf-8")


BLOCKS = [
    Block(f"{page.relative_to(REPOSITORY)}:{text.count(chr(10), 0, match.start()) + 1}", match[1], match[2])
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for match in FENCE.finditer(text)
]


@pytest.fixture
def accounts() -> Iterator[dict[str, str]]:
    """Run what the documentation's connections lead to; return the variables that hold them."""
    with Sandbox(rate_limit=None, campaigns=len(SEEDS)) as sandbox, acme_platform() as acme:
        acme_connection = {"conn_type": "acme", "host": acme.url, "login": "me", "password": "not-a-real-one"}
        yield variables_of({**sandbox.connections(), "acme": acme_connection})


def acme_platform() -> LocalServer:
    """Return the platform of the page "Adding a platform", with two campaigns."""
    names = {"spring": "Spring sale", "summer": "Summer sale"}
    campaigns = {key: {"id": key, "state": "active", "title": title} for key, title in names.items()}

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
            entry_points = configparser.ConfigParser()
            entry_points.read_dict(project["entry-points"])
            with (metadata / "entry_points.txt").open("w") as file:
                entry_points.write(file)


def test_the_python_on_every_page_runs(accounts: dict[str, str], tmp_path: Path) -> None:
    """All blocks run in one process, for importing Airflow costs more than any of them."""
    install([block for block in BLOCKS if block.file_name], tmp_path / "installed")
    scripts = [(block.title, block.code) for block in BLOCKS if block.language == "python" and not block.file_name]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")},
        **accounts,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), str(REPOSITORY)]),
    }
    command, given = [sys.executable, docs_runner.__file__], json.dumps(scripts)
    done = subprocess.run(
        command, input=given, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.findall(r"^\S+\.md:\d+$", done.stdout, re.MULTILINE) == [title for title, _ in scripts]


def test_json_toml_and_commands_are_what_they_say() -> None:
    read: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "bash": check_commands}
    for block in BLOCKS:
        if block.language in read:
            try:
                read[block.language](block.code)
            except (AssertionError, SystemExit, ValueError) as error:
                pytest.fail(f"{block.title}: {error!r}")


def check_commands(code: str) -> None:
    known = {info["connection-type"] for info in get_provider_info()["connection-types"]}
    for connection in EXPORT.findall(code):
        assert json.loads(connection)["conn_type"] in known
    for line in EXPORT.sub("", code).replace("\\\n", " ").splitlines():
        command = re.sub(r"^([A-Z_]+=\S+ )*", "", line).partition(" > ")[0]
        words = shlex.split(command, comments=True)
        if words:
            check_command(words)


def check_command(words: list[str]) -> None:
    """Assert that there is such a command, as far as can be told without doing what it does."""
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{re.escape(target)}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), target
        case ["airflow", *arguments]:
            from airflow.cli.cli_parser import get_parser

            get_parser().parse_args(arguments)
        case ["python", "-m", "airflow_provider_campaign", *arguments]:
            build_parser().parse_args(arguments)
        case ["python", "-m", "airflow_provider_campaign.sandbox", *arguments]:
            parse_arguments(arguments)
        case ["python", "-m", module, *_]:
            assert find_spec(module), module
        case ["python", script, *_]:
            assert (REPOSITORY / script).exists(), script
        case ["curl", "-H", "Content-Type: application/json", url, "-d", fault] if url.endswith("/_sandbox/faults"):
            Fault(**json.loads(fault))
        case ["pip", "install", requirement, *_]:
            name, _, extras = requirement.rstrip("]").partition("[")
            assert name in ("airflow-provider-campaign", ".")
            assert extras in ("", "sandbox")
        case _:
            assert words[0] in ("git", "cd", "export"), words


@pytest.mark.parametrize("page", [*PAGES, *ROOT_PAGES], ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in LINK.findall(FENCE.sub("", text)):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not target.startswith("https://"):
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target
            assert file.suffix != ".md" or page.parent != REPOSITORY / "docs" or file.resolve().parent == page.parent, (
                f"{target}, which the site does not have"
            )
    # Links to the outside are not followed here, so each host has to be a platform's, this machine, or an example.
    hosts = {"platform.kore.ai", "api.sonarly.io", "127.0.0.1", "campaigns.example.com"}
    assert set(re.findall(r"https?://([\w.-]+)", text)) - {"keepachangelog.com", "semver.org"} <= hosts


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_picture_is_shown_and_the_index_has_every_page() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [each for each in REPOSITORY.glob("docs/images/*") if f"images/{each.name})" not in shown] == []
    index = docs("README.md")
    names = {page.name for page in PAGES} - {"README.md", "index.md"}  # the index itself, and its frame on the site
    assert {name for name in names if f"({name})" not in index} == set()


def test_the_api_reference_has_every_public_name() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in REPOSITORY.glob("docs/api/*.rst"))
    assert f"autoapimodule:: {exceptions.__name__}\n" in text
    for module in (operators, timetables):
        for name in module.__all__:
            assert f":: {module.__name__}.{name}\n" in text
    for public in (CampaignStatusSensor, CampaignStatusTrigger, CampaignHook, KoreHook, SonarlyHook):
        assert f":: {public.__module__}.{public.__name__}\n" in text


def test_the_connection_page_has_every_field() -> None:
    text = docs("connections.md")
    for info in get_provider_info()["connection-types"]:
        labels = list(info["ui-field-behaviour"]["relabeling"].values())
        labels += [field["label"].removesuffix(" (seconds)") for field in info["conn-fields"].values()]
        for label in labels:
            assert re.search(rf"^\| .*{re.escape(label)}.* \|", text, re.MULTILINE), label
        for name in info["conn-fields"]:
            assert f"`extra.{name}`" in text


def test_the_operator_page_has_every_operator_and_argument() -> None:
    text = docs("operators.md")
    public = [getattr(operators, name) for name in operators.__all__ if name != "CampaignOperator"]
    for operator in [*public, CampaignStatusSensor]:
        assert f"`{operator.__name__}`" in text
        for base in operator.__mro__:
            if base.__module__.startswith("airflow_provider_campaign") and "__init__" in vars(base):
                arguments = set(inspect.signature(base.__init__).parameters) - {"self", "kwargs"}
                assert {argument for argument in arguments if f"`{argument}`" not in text} == set(), operator


def test_every_error_is_on_the_pages_that_list_them() -> None:
    for page in ("operators.md", "what-happens-when.md"):
        text = docs(page)
        assert {name for name in exceptions.__all__ if f"`{name}`" not in text} == set(), page


def test_the_pages_show_the_result_of_a_sweep_as_it_is(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection())
    sandbox.add_campaign()
    result = operators.StopActiveCampaignsOperator(task_id="sweep").execute({})
    table = docs("sweep.md")
    assert {key for key in result if f"`{key}`" not in table} == set()
    of_operators = (block for block in BLOCKS if block.title.startswith("docs/operators.md:"))
    shown = [json.loads(block.code) for block in of_operators if block.language == "json"]
    assert [example.keys() for example in shown if "name" in example] == [result["stopped"][0].keys()]


def test_the_way_of_a_stop_names_what_there_is() -> None:
    steps = re.findall(r"`(\w+/\w+)\.py` `([\w.]+)`", docs("architecture.md"))
    assert len(steps) > 20
    for module, name in steps:
        assert resolve_name(f"{PACKAGE}.{module.replace('/', '.')}:{name}")
