"""What Airflow is told of the provider, and the two forms in which it is told of a connection's fields."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

from airflow_provider_campaign.get_provider_info import get_provider_info
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.kore import KoreHook
from airflow_provider_campaign.hooks.sonarly import SonarlyHook
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform

HOOKS = (KoreHook, SonarlyHook)
PACKAGE = Path(__file__).parents[2] / "airflow_provider_campaign"
INFO = {info["connection-type"]: info for info in get_provider_info()["connection-types"]}


def test_the_provider_info_is_valid_by_airflows_own_schemas() -> None:
    info, folder = get_provider_info(), Path(airflow.__file__).parent
    jsonschema.validate(info, json.loads((folder / "provider_info.schema.json").read_text()))
    schema = json.loads((folder / "provider.yaml.schema.json").read_text())  # for providers of Airflow's own
    for section in ("integrations", "operators", "sensors", "hooks", "triggers", "connection-types"):
        jsonschema.validate(info[section], schema["properties"][section])
    assert {row["integration-name"] for row in info["integrations"]} == {KorePlatform.name, SonarlyPlatform.name}
    for row in info["integrations"]:
        assert row["external-doc-url"].startswith("https://")
        assert all((PACKAGE.parent / guide.removeprefix("/")).is_file() for guide in row["how-to-guide"])


BASES = {"operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger}


@pytest.mark.parametrize("section", BASES)
def test_all_modules_with_operators_sensors_and_triggers_are_named(section: str) -> None:
    found = set()
    for file in (PACKAGE / section).glob("[a-z]*.py"):
        module = importlib.import_module(f"{PACKAGE.name}.{section}.{file.stem}")
        classes = [
            value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BASES[section])
        ]
        if file.stem != "base" and any(each.__module__ == module.__name__ for each in classes):
            found.add(module.__name__)
    for entry in get_provider_info()[section]:
        assert set(entry["python-modules"]) == found


def test_the_provider_info_names_only_what_there_is() -> None:
    info = get_provider_info()
    for section in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[section]:
            assert entry["integration-name"] in [row["integration-name"] for row in info["integrations"]]
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for entry in info["connection-types"]:
        module, _, name = entry["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert (hook.conn_type, hook.hook_name) == (entry["connection-type"], entry["hook-name"])


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_itself_has_the_form_that_older_lines_ask_it_for(hook: type[CampaignHook]) -> None:
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= vars(hook).keys()
    declared, asked = INFO[hook.conn_type]["ui-field-behaviour"], hook.get_ui_field_behaviour()
    assert asked == {key.replace("-", "_"): value for key, value in declared.items()}
    assert {"host", "port", "login", "password"} - set(asked["hidden_fields"]) == set(asked["relabeling"])


@pytest.mark.parametrize("hook", HOOKS)
def test_both_forms_have_the_same_fields(hook: type[CampaignHook]) -> None:
    pytest.importorskip("flask_appbuilder")
    fields: dict[str, Any] = hook.get_connection_form_widgets()
    assert {name: _as_declared(field) for name, field in fields.items()} == {
        name: {
            "label": field["label"],
            "description": field["description"],
            "default": field["schema"].get("default"),
            "enum": field["schema"].get("enum"),
            "secret": field["schema"].get("format") == "password",
            "number": "number" in field["schema"]["type"],
        }
        for name, field in INFO[hook.conn_type]["conn-fields"].items()
    }


def _as_declared(unbound: Any) -> dict[str, Any]:
    from wtforms import Form, IntegerField, PasswordField
    from wtforms.validators import AnyOf

    field = type("OneField", (Form,), {"field": unbound})().field
    return {
        "label": field.label.text,
        "description": field.description,
        "default": field.default,
        "enum": next((check.values for check in field.validators if isinstance(check, AnyOf)), None),
        "secret": isinstance(field, PasswordField),
        "number": isinstance(field, IntegerField),
    }


def test_the_secrets_are_what_the_form_masks() -> None:
    fields = [(conn_type, *each) for conn_type, info in INFO.items() for each in info["conn-fields"].items()]
    secret = [(conn_type, name) for conn_type, name, field in fields if field["schema"].get("format") == "password"]
    assert secret == [("kore", "private_key")]  # beside the password field, which Airflow masks by itself
