"""The credentials that requests are signed with, and looking them up again if the platform refuses them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from airflow_provider_campaign.client.errors import refusal_details
from airflow_provider_campaign.exceptions import CampaignAuthError, CampaignError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import Platform

log = logging.getLogger(__name__)

LookUp = Callable[[], tuple[Platform, str]]
"""Returns an account as it is configured now: its platform, and the address (scheme, host, and port) of that."""


class Credentials:
    """
    The credentials of one account, for any number of threads.

    :param base_url: The address that requests go to.
    :param look_up: None if the caller looks them up again.
    """

    def __init__(self, platform: Platform, base_url: str, look_up: LookUp | None = None) -> None:
        self.platform = platform
        """The account, with the credentials that are known last."""
        self._base_url = base_url
        self._look_up = look_up
        self._lock = threading.Lock()
        self._failure: str | None = None
        """Why the last look-up failed."""
        self._is_other_account = False
        """Whether the last look-up has found the connection to be one to another account."""

    def renew(self, refused: Platform) -> bool:
        """
        Return whether there are other credentials of the same account by now: look them up, unless another thread has.

        :param refused: The account as the refused request was signed for.
        """
        with self._lock:
            if self.platform is refused and self._look_up is not None:
                self._replace(self._look_up)
            return self.platform is not refused

    def explained(self, refusal: CampaignError) -> CampaignError:
        """Return the error for a refused request, with what looking its credentials up again has shown."""
        if not isinstance(refusal, CampaignAuthError) or refusal.http_status != 401:
            return refusal
        if self._failure is not None:
            text = f"{refusal} Whether they have changed is not known, because they can't be looked up: {self._failure}"
            return CampaignUnavailableError(text, **refusal_details(refusal))
        if self._is_other_account:
            text = f"{refusal} By now the connection is one to another account, to which nothing was sent."
            return CampaignAuthError(text, **refusal_details(refusal))
        return refusal

    def _replace(self, look_up: LookUp) -> None:
        self._failure, self._is_other_account = None, False
        try:
            platform, base_url = look_up()
        except Exception as error:  # noqa: BLE001 whatever a secrets backend raises may pass; its text may be secret
            self._failure = str(error) if isinstance(error, CampaignError) else type(error).__name__
            return
        configured = (platform.name, platform.account, base_url)
        if configured != (self.platform.name, self.platform.account, self._base_url):
            self._is_other_account = True
        elif platform != self.platform:
            log.warning("The platform refuses the credentials, and others are configured by now: continuing with those")
            self.platform = platform
