"""When campaigns may run: the platform's ``callingHours``, closed dates and overrides, and which campaign has which."""

from airflow_provider_campaign.calling_hours.fields import calling_hours_error
from airflow_provider_campaign.calling_hours.hours import CallingHours
from airflow_provider_campaign.calling_hours.openings import MINUTE
from airflow_provider_campaign.calling_hours.rules import CallingRule, CallingRules
from airflow_provider_campaign.calling_hours.weekly import MINUTES_A_DAY, MINUTES_A_WEEK

__all__ = [
    "MINUTE",
    "MINUTES_A_DAY",
    "MINUTES_A_WEEK",
    "CallingHours",
    "CallingRule",
    "CallingRules",
    "calling_hours_error",
]
