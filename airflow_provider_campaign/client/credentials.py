"""The credentials that requests are signed with, and looking them up again where the platform refuses them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum

from airflow_provider_campaign.client.errors import refusal_details
from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import Platform

log = logging.getLogger(__name__)

LookUp = Callable[[], tuple[Platform, str]]
"""Returns an account as it is configured now: its platform, and the address (scheme, host and port) of that."""


class Renewal(Enum):
    """What a look at credentials that were refused has shown."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    OTHER_ACCOUNT = "other account"
    FAILED = "failed"


class Credentials:
    """
    The credentials of one account, for any number of threads.

    :param base_url: The address that requests go to.
    :param look_up: None where somebody else looks them up again.
    """

    def __init__(self, platform: Platform, base_url: str, look_up: LookUp | None = None) -> None:
        self.platform = platform
        """The account, with the credentials that are known last."""
        self._base_url = base_url
        self._look_up = look_up
        self._lock = threading.Lock()
        self._look_ups = 0
        self._last = Renewal.UNCHANGED
        self._problem = ""

    def renew(self, refused: Platform) -> Renewal:
        """
        Look the credentials up again, once for all threads that were refused meanwhile, and return what that shows.

        They are replaced only by others of the same account.

        :param refused: The account as the refused request was signed for.
        """
        look_ups = self._look_ups
        with self._lock:
            if self.platform is not refused:
                return Renewal.CHANGED
            if self._look_up is not None and self._look_ups == look_ups:
                self._last = self._compare(self._look_up)
                self._look_ups += 1
            return self._last

    def explained(self, refusal: CampaignError, renewal: Renewal | None) -> CampaignError:
        """Return the error for a request whose credentials were refused, given what looking them up again has shown."""
        if isinstance(refusal, CampaignAuthError) and renewal is Renewal.FAILED:
            text = f"{refusal} Whether they have changed is not known, because they can't be looked up: {self._problem}"
            return CampaignUnavailableError(text, **refusal_details(refusal))
        if isinstance(refusal, CampaignAuthError) and renewal is Renewal.OTHER_ACCOUNT:
            text = f"{refusal} By now the connection is one to another account, to which nothing was sent."
            return CampaignAuthError(text, **refusal_details(refusal))
        return refusal

    def _compare(self, look_up: LookUp) -> Renewal:
        try:
            platform, base_url = look_up()
        except Exception as error:  # noqa: BLE001 whatever a secrets backend raises may pass; its text may be secret
            self._problem = str(error) if isinstance(error, CampaignError) else type(error).__name__
            return Renewal.FAILED
        if (platform.name, platform.account, base_url) != (self.platform.name, self.platform.account, self._base_url):
            return Renewal.OTHER_ACCOUNT
        if platform == self.platform:
            return Renewal.UNCHANGED
        log.warning("The platform refuses the credentials, and others are configured by now: continuing with those")
        self.platform = platform
        return Renewal.CHANGED
