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


BASES = {"operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger, "hooks": CampaignHook}


@pytest.mark.parametrize("section", BASES)
def test_all_modules_with_operators_sensors_triggers_and_hooks_are_named(section: str) -> None:
    found = set()
    for file in (PACKAGE / section).glob("[a-z]*.py"):
        module = importlib.import_module(f"{PACKAGE.name}.{section}.{file.stem}")
        own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
        if file.stem != "base" and any(isinstance(each, type) and issubclass(each, BASES[section]) for each in own):
            found.add(module.__name__)
    named = [set(entry["python-modules"]) for entry in get_provider_info()[section]]
    assert set.union(*named) == found
    assert section == "hooks" or named == [found, found]  # only hooks are one platform's


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_itself_has_the_form_that_older_lines_ask_it_for(hook: type[CampaignHook]) -> None:
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= vars(hook).keys()
    info = INFO[hook.conn_type]
    assert (info["hook-class-name"], info["hook-name"]) == (f"{hook.__module__}.{hook.__name__}", hook.hook_name)
    declared, asked = info["ui-field-behaviour"], hook.get_ui_field_behaviour()
    assert asked == {key.replace("-", "_"): value for key, value in declared.items()}
    assert {"host", "port", "login", "password"} - set(asked["hidden_fields"]) == set(asked["relabeling"])


@pytest.mark.parametrize("hook", HOOKS)
def test_both_forms_have_the_same_fields(hook: type[CampaignHook]) -> None:
    pytest.importorskip("flask_appbuilder")
    from wtforms import Form, IntegerField, PasswordField
    from wtforms.validators import AnyOf

    form: Any = type("TheForm", (Form,), hook.get_connection_form_widgets())()
    for name, declared in INFO[hook.conn_type]["conn-fields"].items():
        field, schema = form[name], declared["schema"]
        texts = (field.label.text, field.description, field.default)
        assert texts == (declared["label"], declared["description"], schema.get("default")), name
        values = [check.values for check in field.validators if isinstance(check, AnyOf)]
        assert values == ([schema["enum"]] if "enum" in schema else []), name
        assert isinstance(field, PasswordField) == (schema.get("format") == "password"), name
        assert isinstance(field, IntegerField) == ("number" in schema["type"]), name
    assert len(list(form)) == len(INFO[hook.conn_type]["conn-fields"])
