"""What Airflow's own commands show of the provider."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import pytest
from packaging.version import Version

from airflow_provider_campaign import __version__
from airflow_provider_campaign.get_provider_info import get_provider_info
from tests.airflow_process import AirflowProcess, SharedAirflow

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
UI = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

forms = {form.connection_type: form.model_dump() for form in HookMetaService.hook_meta_data()}
print(json.dumps(forms, default=str))
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
    """Return the rows that each command prints."""
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


@pytest.mark.skipif(version < Version("3.1"), reason="the UI of 2.11 is Flask's, that of 3.0 has no forms without it")
def test_the_ui_shows_every_field_under_its_label_and_masks_the_secrets(airflow_home: Path, tmp_path: Path) -> None:
    script = tmp_path / "ui.py"
    script.write_text(UI)
    forms = AirflowProcess(airflow_home, {}).answer(str(script))
    for info in get_provider_info()["connection-types"]:
        form = forms[info["connection-type"]]
        shown = {name: field["schema"] for name, field in form["extra_fields"].items()}
        assert {
            name: (schema["title"], schema.get("format"), schema.get("enum")) for name, schema in shown.items()
        } == {
            name: (field["label"], field["schema"].get("format"), field["schema"].get("enum"))
            for name, field in info["conn-fields"].items()
        }
        labels = {name: form["standard_fields"][name]["title"] for name in info["ui-field-behaviour"]["relabeling"]}
        assert labels == info["ui-field-behaviour"]["relabeling"]
