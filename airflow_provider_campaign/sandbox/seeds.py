"""The campaigns that documentation and example DAGs name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_campaign.sandbox.sandbox import Sandbox

# Ids that documentation can name: id, type, status, name.
SEEDS = (
    ("cd-sms-evening-1", "sms", "Active", "Evening reminder"),
    ("cd-voice-evening-1", "voice", "Active", "Renewal call"),
    ("650000000000000000000001", "sonarly", "Active", "Autumn outreach"),
    ("cd-sms-evening-2", "sms", "Active", "Payment due"),
    ("cd-sms-morning-1", "sms", "Stopped", "Morning welcome"),
    ("cd-voice-tomorrow-1", "voice", "Scheduled", "Appointment confirmation"),
    ("cd-voice-evening-2", "voice", "Active", "Delivery window"),
    ("650000000000000000000002", "sonarly", "Active", "Win-back"),
)


def seed(sandbox: Sandbox, count: int) -> None:
    """Add campaigns with the same ids in every run."""
    for campaign_id, campaign_type, status, name in SEEDS[:count]:
        sandbox.add_campaign(campaign_id, campaign_type, status, name)
    for number in range(3, 3 + count - len(SEEDS)):
        sandbox.add_campaign(f"cd-sms-evening-{number}", "sms", "Active", f"Evening reminder {number}")
