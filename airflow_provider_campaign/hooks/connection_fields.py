"""A connection's fields: read, with what is wrong named by label and fix; and their form on Airflow before 3.2."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import Connection
from urllib3.util import Url, parse_url

from airflow_provider_campaign.campaign import is_path_segment
from airflow_provider_campaign.client.transport import is_loopback
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.get_provider_info import connection_type_info
from airflow_provider_campaign.text import shown

log = logging.getLogger(__name__)

MAX_SECONDS = 86_400.0  # A day: longer values overflow socket timeouts


class ConnectionFields:
    """A connection, read field by field; null, empty, and absent are one and the same."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._info = connection_type_info(connection.conn_type or "")
        try:
            is_object = isinstance(_parsed(connection.extra or "{}"), Mapping)
            self._extra: Mapping[str, Any] = connection.extra_dejson if is_object else {}
        except UnicodeEncodeError:  # half of a character, which Airflow 2.11 can't mask
            is_object = False
        if not is_object:
            raise self.error("extra", "is not a JSON object", 'Write it as {"field": value, …}.')
        known = self._info["conn-fields"]
        if known and (unread := ", ".join(sorted(self._extra.keys() - known.keys()))):
            text = "Connection %r: extra has %s, which nothing reads. Its fields: %s"
            log.warning(text, connection.conn_id, unread, ", ".join(known))

    def error(self, field: str, problem: str, fix: str) -> CampaignConfigError:
        """Return the error that names this connection, the field under its label, and the fix."""
        label = self._label(field)
        name = f"{label} ({field})" if label != field else field
        subject = f"Connection {self._connection.conn_id!r}: the field {name}"
        return CampaignConfigError(f"{subject} {problem}. Nothing was sent. {fix}")

    def text(self, field: str, default: str = "") -> str:
        """Return a field's text without blanks around it, or the default."""
        value = self._value(field)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(field, f"is not text but {type(value).__name__}", "Put it in quotes.")
        text = value.strip()
        if not text.isprintable() and "-----BEGIN" not in text:
            raise self.error(field, "holds a line break or control character", "Enter it again on one line.")
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            raise self.error(field, "stands in quotes", "Enter it without them.")
        return text or default

    def required(self, field: str) -> str:
        """Return a field's text; raise if it is missing."""
        text = self.text(field)
        if not text:
            description = self._info["conn-fields"].get(field, {}).get("description")
            fix = description or f"the {self._label(field)} that the platform shows for your app."
            raise self.error(field, "is missing", f"Fill it in: {fix}")
        return text

    def identifier(self, field: str) -> str:
        """Return a field's text, which goes into headers and, as one segment, into paths; raise if it is missing."""
        text = self.header(field)
        if is_path_segment(text):
            return text
        raise self.error(field, "looks like a path: it holds one of / \\ ? # ..", "Copy it from the platform again.")

    def header(self, field: str) -> str:
        """Return a field's text, which goes into a header and so may hold ASCII only; raise if it is missing."""
        text = self.required(field)
        if text.isascii() and text.isprintable() and " " not in text:
            return text
        problem = "holds a blank, or a character that no header can carry"
        raise self.error(field, problem, "Copy it from the platform again.")

    def choice(self, field: str) -> str:
        """Return a field's text if it is one of those that its form offers, or the form's default."""
        schema = self._info["conn-fields"][field]["schema"]
        text = self.text(field, schema["default"])
        if text not in schema["enum"]:
            raise self.error(field, f"is {shown(text)}", f"Use one of {', '.join(filter(None, schema['enum']))}.")
        return text

    def seconds(self, field: str) -> float | None:
        """Return a field's positive number of seconds; None if absent."""
        value = self._value(field)
        if value is None:
            return None
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = -1.0
        if isinstance(value, bool) or not 0 < seconds <= MAX_SECONDS:
            raise self.error(field, f"is {shown(value)}", "Give a positive number of seconds, for example 30.")
        return seconds

    def mapping(self, field: str) -> Mapping[str, Any]:
        """Return a field's JSON object, or an empty one."""
        value = self._value(field)
        if value is None:
            return {}
        if isinstance(value, str):  # as the form stores it where it has no field for an object (before 3.2)
            value = _parsed(value)
        if not isinstance(value, Mapping):
            raise self.error(field, "is not a JSON object", 'Write it as {"key": "value", …}.')
        return value

    def base_url(self) -> str:
        """Return scheme, host, and port; ``https`` where none is named, ``http`` for loopback only."""
        default = self._info["ui-field-behaviour"]["placeholders"].get("host", "")
        host = self.text("host", default) or self.required("host")
        if "://" not in host:
            scheme = self._connection.schema if self._connection.schema in ("http", "https") else "https"
            host = f"{scheme}://{host}"
        given = "a text that may hold credentials" if set(host) & set("@?#") else shown(host)
        fix = f"Give a host such as {default or 'https://api.example.com'}."
        try:
            url = parse_url(host)
        except ValueError:
            raise self.error("host", f"is {given}, which is not an address", fix) from None
        port = url.port or self._connection.port
        if url.scheme not in ("http", "https") or not url.host or " " in host or not 0 < (port or 443) < 65536:
            raise self.error("host", f"is {given} (port {port}), which is not an address", fix)
        if (url.path or "").strip("/") or url.query or url.fragment or url.auth is not None:
            raise self.error("host", f"is {given}, which is more than scheme, host and port", fix)
        if url.scheme == "http" and not is_loopback(url.host.strip("[]")):
            raise self.error("host", f"is {given}, which would send credentials unencrypted", "Use https://.")
        return Url(url.scheme, host=url.host, port=port).url

    def _value(self, field: str) -> Any:
        standard = field in ("host", "login", "password", "schema", "port")
        value = getattr(self._connection, field) if standard else self._extra.get(field)
        if value is None or value == {} or (isinstance(value, str) and not value.strip()):
            return None
        return value

    def _label(self, field: str) -> str:
        relabeled = self._info["ui-field-behaviour"]["relabeling"]
        return str(relabeled.get(field) or self._info["conn-fields"].get(field, {}).get("label", field))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def form_widgets(conn_type: str) -> dict[str, Any]:
    """Return a form field for each entry of ``conn-fields``."""
    return {name: _widget(field) for name, field in connection_type_info(conn_type)["conn-fields"].items()}


def form_behaviour(conn_type: str) -> dict[str, Any]:
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
