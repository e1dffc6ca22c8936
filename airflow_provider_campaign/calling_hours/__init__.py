"""When campaigns may run: the platform's ``callingHours``, closed dates and overrides, and which campaign has which."""

from airflow_provider_campaign.calling_hours.hours import CallingHours, CallingRules
from airflow_provider_campaign.calling_hours.reading import MINUTES_A_DAY, MINUTES_A_WEEK, calling_hours_error

__all__ = ["MINUTES_A_DAY", "MINUTES_A_WEEK", "CallingHours", "CallingRules", "calling_hours_error"]
