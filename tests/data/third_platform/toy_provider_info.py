"""The metadata by which Airflow finds the third platform; like any provider's, it imports nothing of Airflow's."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": "toy-campaigns",
        "name": "Toy",
        "description": "A third platform.",
        "connection-types": [
            {"connection-type": "toy", "hook-class-name": "toy_hook.ToyHook", "hook-name": "Toy Campaigns"},
        ],
    }
