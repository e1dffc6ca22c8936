"""
A local server that speaks the public contracts of both campaign platforms, for tests, demos, and development.

``python -m airflow_provider_campaign.sandbox`` runs it with a few campaigns; ``Sandbox`` runs it inside a test.
"""

from importlib.util import find_spec

if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
    raise ImportError(f"The sandbox needs {' and '.join(missing)}: pip install 'airflow-provider-campaign[sandbox]'")

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.sandbox import Sandbox

__all__ = ["Campaign", "Fault", "ReceivedRequest", "Sandbox", "SandboxConfig"]
