"""What Airflow discovers, as ``provider.yaml`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

JSON = dict[str, Any]


def get_provider_info() -> JSON:
    """Return the provider's metadata, as the entry point ``apache_airflow_provider`` promises."""
    import yaml  # not at the top: a DAG file needs none of it

    text = Path(__file__).with_name("provider.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where it was built, it is fifty times as fast
    info: JSON = yaml.load(text, loader)  # noqa: S506 both are safe
    return info


def connection_type_info(conn_type: str) -> JSON:
    """Return the metadata of one connection type; an empty form for a type of another provider."""
    known: dict[str, JSON] = {info["connection-type"]: info for info in get_provider_info()["connection-types"]}
    return known.get(conn_type, {"conn-fields": {}, "ui-field-behaviour": {"relabeling": {}, "placeholders": {}}})
