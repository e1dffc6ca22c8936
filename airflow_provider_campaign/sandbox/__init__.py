"""
A local server that speaks the public contracts of both campaign platforms, for tests, demos and development.

``python -m airflow_provider_campaign.sandbox`` runs it with a few campaigns; ``Sandbox`` runs it inside a test.
"""

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.sandbox import Sandbox

__all__ = ["Campaign", "Fault", "ReceivedRequest", "Sandbox", "SandboxConfig"]
