"""What Airflow's own commands show of the provider."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_campaign import __version__
from airflow_provider_campaign.get_provider_info import get_provider_info
from tests.airflow_process import AirflowProcess

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
FIELDS = {
    f"extra__{info['connection-type']}__{field}"
    for info in get_provider_info()["connection-types"]
    for field in info["conn-fields"]
}


Printed = dict[str, list[Any]]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """Return the rows that each command prints."""
    airflow = AirflowProcess(tmp_path_factory.mktemp("home"), {})
    answer: Printed = airflow.answer("-c", COMMANDS, "list", "hooks", "widgets", "behaviours", "triggers")
    return answer


def test_the_provider_is_listed_with_its_version(printed: Printed) -> None:
    [row] = [row for row in printed["list"] if row["package_name"] == "airflow-provider-campaign"]
    assert row["version"] == __version__


def test_both_connection_types_are_listed_with_their_hooks(printed: Printed) -> None:
    hooks = {row["connection_type"]: (row["class"], row["hook_name"]) for row in printed["hooks"]}
    for info in get_provider_info()["connection-types"]:
        assert hooks[info["connection-type"]] == (info["hook-class-name"], info["hook-name"])


def test_all_fields_of_the_form_are_listed(printed: Printed) -> None:
    names = [row["connection_parameter_name"] for row in printed["widgets"]]
    assert sorted(name for name in names if name.startswith(("extra__kore__", "extra__sonarly__"))) == sorted(FIELDS)


def test_both_forms_relabel_and_hide_fields(printed: Printed) -> None:
    assert {"kore", "sonarly"} <= {row["field_behaviours"] for row in printed["behaviours"]}


def test_the_secrets_of_the_form_are_marked_as_such(printed: Printed) -> None:
    assert FIELDS & set(printed["secrets"]) == {"extra__kore__private_key"}


def test_the_triggers_are_listed(printed: Printed) -> None:
    assert "airflow_provider_campaign.triggers.campaign" in str(printed["triggers"])
