"""The package as users get it: built in isolation, installed into an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import airflow
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from airflow_provider_campaign import __version__
from airflow_provider_campaign.get_provider_info import get_provider_info
from tests.profiles import IS_FULL

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "airflow_provider_campaign"
DISTRIBUTION = "airflow-provider-campaign"
AIRFLOW = Version(airflow.__version__)

in_full = pytest.mark.skipif(not IS_FULL, reason="takes long where Airflow has never run: only in full")

ENTRY_POINT = """\
import json, sys
from importlib.metadata import distribution

installed = distribution(sys.argv[1])
(provider,) = installed.entry_points.select(group="apache_airflow_provider")
print(json.dumps([installed.version, provider.load()()]))
"""

DOCUMENTATION_LINK = """\
import sys, airflow
if airflow.__version__.startswith("2."):
    from airflow.utils.docs import get_doc_url_for_provider
    print(get_doc_url_for_provider(*sys.argv[1:]))
else:
    from airflow.providers_manager import ProvidersManager
    print(ProvidersManager().providers[sys.argv[1]].data["documentation-url"].strip())
"""


def run(*command: str | Path, cwd: Path = REPOSITORY, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command outside of this environment's Airflow and of this repository's sources."""
    unwanted = ("AIRFLOW_", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment |= {"AIRFLOW_HOME": str(cwd / "airflow-home"), **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def python(*arguments: str | Path, cwd: Path = REPOSITORY) -> str:
    done = run(sys.executable, "-m", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    python("build", "--installer=uv", "--outdir", directory)
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"{PACKAGE}-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an environment that has nothing but the wheel and what it pulls in."""
    directory = tmp_path_factory.mktemp("installed")
    constraints = REPOSITORY / "constraints" / f"airflow-{airflow.__version__}.txt"
    python("uv", "venv", "--quiet", "--python", sys.executable, directory / "venv")
    install(directory, "--constraint", constraints, wheel)
    return directory


def install(directory: Path, *what: str | Path) -> None:
    python("uv", "pip", "install", "--quiet", "--python", directory / "venv/bin/python", *what)


def test_the_metadata_pass_the_registrys_check(built: Path) -> None:
    python("twine", "check", "--strict", *built.iterdir())
    assert __version__ not in (REPOSITORY / "pyproject.toml").read_text()


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    files = [file for file in (REPOSITORY / PACKAGE).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    expected = {str(file.relative_to(REPOSITORY)) for file in files}
    assert names == expected | {f"{PACKAGE}-{__version__}.dist-info/{name}" for name in about}
    assert {file.suffix for file in files} == {".css", ".html", ".js", ".json", ".py", ".typed", ".yaml"}
    assert not {"tests", "benchmarks"} & {part for name in names for part in name.split("/")}


def test_the_sdist_holds_what_a_user_may_copy(built: Path) -> None:
    with tarfile.open(built / f"{PACKAGE}-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "example_dags/stop_campaigns.py"} <= names
    assert not {name for name in names if name.startswith(("tests/", ".venv", ".ci"))}


@in_full
@pytest.mark.skipif(AIRFLOW in SpecifierSet(">=3.0,<3.1"), reason="3.0 makes one up for every provider")
def test_airflows_link_to_the_documentation_leads_to_a_page_that_exists(installed: Path) -> None:
    shown = run(installed / "venv/bin/python", "-c", DOCUMENTATION_LINK, DISTRIBUTION, __version__, cwd=installed)
    airflows_own = "https://airflow.apache.org/docs/apache-airflow-providers/"  # ours are not published yet
    assert shown.stdout.splitlines()[-1:] == [airflows_own], shown.stderr


def test_the_sandbox_without_its_extra_says_what_to_install(installed: Path) -> None:
    blocked = "import sys; sys.modules['uvicorn'] = None; import airflow_provider_campaign.sandbox.demo"
    done = run(installed / "venv/bin/python", "-c", blocked, cwd=installed)
    assert done.stderr.splitlines()[-1].endswith("uvicorn: pip install 'airflow-provider-campaign[sandbox]'")


@in_full
@pytest.mark.skipif(AIRFLOW in SpecifierSet("<3.0"), reason="2.11 does not bring what the sandbox needs")
def test_the_demo_runs_from_an_sdist_that_is_installed(built: Path, installed: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    install(installed, "--no-deps", "--reinstall", sdist)
    with tarfile.open(sdist) as archive:
        archive.extractall(installed, filter="data")
    dag = installed / sdist.name.removesuffix(".tar.gz") / "example_dags/stop_campaigns.py"
    done = run(installed / "venv/bin/python", "-m", f"{PACKAGE}.sandbox.demo", dag, cwd=installed)
    assert done.stdout.endswith("Every campaign is verified: stopped, or deleted once it was.\n"), done.stderr


def test_the_installed_provider_is_found_as_airflow_finds_it(installed: Path) -> None:
    python("uv", "pip", "check", "--python", installed / "venv/bin/python")
    found = run(installed / "venv/bin/python", "-c", ENTRY_POINT, DISTRIBUTION, cwd=installed)
    assert json.loads(found.stdout) == [__version__, get_provider_info()], found.stderr


def test_a_project_of_its_own_runs_the_documented_tests_with_the_wheel(wheel: Path, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/testing.md").read_text()
    for name, content in re.findall(r"^```\w+\n# ([\w./-]+\.(?:py|ini))\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    # Airflow and pytest are this environment's, and the plugin comes from the wheel, by its entry point.
    python("uv", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", wheel)
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    tested = run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path, **environment)
    assert "5 passed" in tested.stdout, tested.stdout + tested.stderr
    where = run(sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", cwd=tmp_path, **environment)
    assert where.stdout.startswith(str(tmp_path))
