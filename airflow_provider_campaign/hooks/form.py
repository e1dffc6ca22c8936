"""The connection form on Airflow versions that ask the hook for it (before 3.2), from the provider's metadata."""

from __future__ import annotations

from typing import Any, TypeVar

from airflow_provider_campaign.get_provider_info import connection_type_info

Hook = TypeVar("Hook", bound=type)


def connection_form(hook: Hook) -> Hook:
    """
    Give a hook class the form of its connection type.

    It is put on the class itself, because Airflow does not look for it among the parents.
    """
    hook.get_connection_form_widgets = staticmethod(lambda: _widgets(hook.conn_type))  # type: ignore[attr-defined]
    hook.get_ui_field_behaviour = staticmethod(lambda: _behaviour(hook.conn_type))  # type: ignore[attr-defined]
    return hook


def _widgets(conn_type: str) -> dict[str, Any]:
    """Return a form field for each entry of ``conn-fields``."""
    return {name: _widget(field) for name, field in connection_type_info(conn_type)["conn-fields"].items()}


def _behaviour(conn_type: str) -> dict[str, Any]:
    """Return which of Airflow's own fields are hidden, and what the others are called."""
    behavior = connection_type_info(conn_type)["ui-field-behaviour"]
    return {key.replace("-", "_"): value for key, value in behavior.items()}


def _widget(field: dict[str, Any]) -> Any:
    # Airflow takes no other kinds of field than string, integer, password, and boolean; and as it puts the fields of
    # all connection types into one form, none can be required.
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextAreaFieldWidget, BS3TextFieldWidget
    from wtforms import IntegerField, PasswordField, StringField
    from wtforms.validators import Optional, any_of

    schema = field["schema"]
    kind, widget = StringField, BS3TextFieldWidget
    if "number" in schema["type"]:
        kind = IntegerField
    elif "object" in schema["type"]:
        widget = BS3TextAreaFieldWidget
    elif schema.get("format") == "password":
        kind, widget = PasswordField, BS3PasswordFieldWidget
    validators = [Optional(), any_of(schema["enum"])] if "enum" in schema else [Optional()]
    description, default = field["description"], schema.get("default")
    return kind(field["label"], validators=validators, description=description, default=default, widget=widget())
