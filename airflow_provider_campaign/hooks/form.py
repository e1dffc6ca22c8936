"""The connection form on Airflow lines that ask the hook for it (before 3.2), from the provider's metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_campaign.get_provider_info import connection_type_info


class ConnectionForm:
    """The form of a hook's connection type."""

    conn_type: ClassVar[str]

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return a form field for each entry of ``conn-fields``."""
        return {name: _widget(field) for name, field in connection_type_info(cls.conn_type)["conn-fields"].items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which of Airflow's own fields are hidden, and what the others are called."""
        behaviour = connection_type_info(cls.conn_type)["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }


def _widget(field: dict[str, Any]) -> Any:
    from flask_appbuilder.fieldwidgets import (
        BS3PasswordFieldWidget,
        BS3TextAreaFieldWidget,
        BS3TextFieldWidget,
    )
    from wtforms import FloatField, PasswordField, StringField
    from wtforms.validators import AnyOf, Optional

    schema = field["schema"]
    options: dict[str, Any] = {"description": field["description"], "default": schema.get("default")}
    types = schema["type"]
    if "number" in types:
        return FloatField(field["label"], widget=BS3TextFieldWidget(), validators=[Optional()], **options)
    if "object" in types:
        return StringField(field["label"], widget=BS3TextAreaFieldWidget(), **options)
    if schema.get("format") == "password":
        return PasswordField(field["label"], widget=BS3PasswordFieldWidget(), **options)
    validators = [Optional(), AnyOf(schema["enum"])] if "enum" in schema else []
    return StringField(field["label"], widget=BS3TextFieldWidget(), validators=validators, **options)
