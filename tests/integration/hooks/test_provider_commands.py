"""What Airflow's own commands show of the provider."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import airflow
import pytest
from packaging.version import Version

from airflow_provider_campaign import __version__
from airflow_provider_campaign.get_provider_info import get_provider_info
from tests.airflow_process import SharedAirflow

# One process for all of them: each would take seconds to start.
COMMANDS = """
import contextlib, io, json, sys
from airflow.cli.cli_parser import get_parser
from airflow.providers_manager import ProvidersManager

printed = {}
for command in sys.argv[1:]:
    arguments = get_parser().parse_args(["providers", command, "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as output:
        arguments.func(arguments)
    printed[command] = json.loads(output.getvalue().strip().splitlines()[-1])
widgets = ProvidersManager().connection_form_widgets
printed["secrets"] = [name for name, widget in widgets.items() if widget.is_sensitive]
print(json.dumps(printed))
"""
version = Version(airflow.__version__)
FIELDS = {
    f"extra__{info['connection-type']}__{field}"
    for info in get_provider_info()["connection-types"]
    for field in info["conn-fields"]
}


Printed = dict[str, list[Any]]


@pytest.fixture(scope="module")
def printed(shared_airflow: SharedAirflow, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    script = tmp_path_factory.mktemp("scripts") / "commands.py"
    script.write_text(COMMANDS)
    answer: Printed = shared_airflow.answer(str(script), "list", "hooks", "widgets", "behaviours", "triggers")
    return answer


def test_the_provider_is_listed_with_its_version_hooks_and_triggers(printed: Printed) -> None:
    [row] = [row for row in printed["list"] if row["package_name"] == "airflow-provider-campaign"]
    assert row["version"] == __version__
    hooks = {row["connection_type"]: (row["class"], row["hook_name"]) for row in printed["hooks"]}
    for info in get_provider_info()["connection-types"]:
        assert hooks[info["connection-type"]] == (info["hook-class-name"], info["hook-name"])
    assert "airflow_provider_campaign.triggers.campaign" in str(printed["triggers"])


@pytest.mark.skipif(
    version < Version("3.2") and find_spec("flask_appbuilder") is None,
    reason="before 3.2, the commands know forms by flask_appbuilder",
)
def test_both_forms_have_all_their_fields_and_mark_the_secrets(printed: Printed) -> None:
    names = [row["connection_parameter_name"] for row in printed["widgets"]]
    assert sorted(name for name in names if name.startswith(("extra__kore__", "extra__sonarly__"))) == sorted(FIELDS)
    assert {"kore", "sonarly"} <= {row["field_behaviours"] for row in printed["behaviours"]}
    assert FIELDS & set(printed["secrets"]) == {"extra__kore__private_key"}
