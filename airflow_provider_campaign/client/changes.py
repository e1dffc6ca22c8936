"""Stopping, starting, and deleting a campaign: what to send, and what the platform's responses mean together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, WaitCondition, is_live
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import quote_refusal, refusal_details, remediation
from airflow_provider_campaign.client.requester import Requester
from airflow_provider_campaign.exceptions import (
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.platforms.base import Action, ApiRequest

log = logging.getLogger(__name__)


@dataclass
class StatusChange:
    """
    A stop or a start, over all its attempts: it acts unless the campaign's state says that there is nothing to do.

    :param condition: What the campaign is brought to.
    :param check_first: Whether an earlier attempt may have reached the platform, so that the status is read first.
    """

    requester: Requester
    request: ApiRequest
    condition: WaitCondition
    check_first: bool
    sent_at: float | None = field(default=None, init=False)  # when the first attempt of unknown outcome may have left

    def attempt(self, deadline: Deadline) -> Campaign:
        """Make one attempt; an error says whether the platform may have acted on this one or on one before it."""
        if self.check_first and (campaign := self._check_before(deadline)):
            return campaign
        sent_at = deadline.clock.time() + self.requester.rate_limiter.delay
        try:
            campaign = self.requester.perform(self.request, deadline)
        except CampaignUnavailableError as error:
            if self.sent_at is None and error.outcome_unknown:
                self.sent_at = sent_at
            self.check_first = self.sent_at is not None
            if self.check_first:
                error.note_unknown_outcome()
            raise
        except CampaignNotFoundError as error:
            raise explained_not_found(self.requester, self.request, error, deadline) from error
        except (CampaignConflictError, CampaignRequestError) as refusal:
            return self._explain(refusal, deadline)
        if self.condition.is_ruled_out_by(campaign.status):
            raise self._conflict(campaign)
        return campaign

    def _check_before(self, deadline: Deadline) -> Campaign | None:
        """Read the status before anything is sent; while it is unreadable, the outcome stays unknown."""
        try:
            return self._check_status(deadline)
        except CampaignUnavailableError as error:
            error.note_unknown_outcome()
            raise
        except CampaignNotFoundError:  # proves nothing: the action's own response has to decide
            return None

    def _explain(self, refusal: CampaignError, deadline: Deadline) -> Campaign:
        """Return the campaign if its status explains the refusal: there is nothing left to do."""
        if refusal.http_status == 404 or not 400 <= (refusal.http_status or 0) < 500:
            raise refusal
        self.check_first = True
        campaign = self._check_status(deadline, refusal)
        self.check_first = False
        if campaign is not None:
            return replace(campaign, message=refusal.platform_text)
        if isinstance(refusal, CampaignConflictError):
            raise CampaignUnavailableError(
                f"{refusal} Its status does not explain the refusal.", **refusal_details(refusal)
            ) from refusal
        raise refusal

    def _check_status(self, deadline: Deadline, refusal: CampaignError | None = None) -> Campaign | None:
        """Read the status, and return the campaign if there is nothing left to do."""
        campaign = self.requester.read_status(self.request, deadline)
        if not (self.condition.is_final(campaign.status) or self.condition.is_in_progress(campaign.status)):
            return None
        changed_since = self._has_changed_since(campaign, deadline)
        if changed_since is False and refusal is None:
            return None  # it may lag behind the attempt whose response is lost
        is_start = self.request.action is Action.START
        ran_already = is_start and campaign.status == CampaignStatus.COMPLETED and changed_since
        if self.condition.is_ruled_out_by(campaign.status) and not ran_already:
            raise self._conflict(campaign, refusal)
        return replace(campaign, already_stopped=not is_start and self.sent_at is None)

    def _has_changed_since(self, campaign: Campaign, deadline: Deadline) -> bool | None:
        """Return whether it has changed since the first attempt of unknown outcome, by the platform's clock."""
        ahead = self.requester.account.clock_offset
        if self.sent_at is None or ahead is None:
            return None
        changed_at = seconds_of(self.requester.dated(campaign, deadline).updated_at)
        return None if changed_at is None else changed_at >= self.sent_at + ahead

    def _conflict(self, campaign: Campaign, refusal: CampaignError | None = None) -> CampaignConflictError:
        return CampaignConflictError(
            f"Can't {self.request.action} campaign {campaign.id!r} ({self.requester.description}): "
            f"it is {campaign.status}. {remediation(self.requester.platform, 409)}{quote_refusal(refusal)}",
            shown_status=campaign.status,
            **refusal_details(refusal),
        )


@dataclass
class Deletion:
    """A delete, over all its attempts: what a status request alone does not find is not proven to be deleted."""

    requester: Requester
    request: ApiRequest
    _is_absent: bool | None = field(default=None, init=False)  # whether it was not found before anything was sent
    _may_be_deleted: bool = field(default=False, init=False)

    def attempt(self, deadline: Deadline) -> Campaign | None:
        """Make one attempt; None if an earlier one, whose response is lost, has deleted the campaign."""
        if self._is_absent is None:
            self._is_absent = self._look(deadline)
        try:
            return self.requester.perform(self.request, deadline)
        except CampaignUnavailableError as error:
            self._may_be_deleted = self._may_be_deleted or error.outcome_unknown
            if self._may_be_deleted:
                error.note_unknown_outcome()
            raise
        except CampaignNotFoundError as error:
            if self._is_absent:
                raise
            explained = explained_not_found(self.requester, self.request, error, deadline)
            if explained.shown_status is None and self._may_be_deleted:
                return None
            raise explained from error

    def _look(self, deadline: Deadline) -> bool:
        """Return whether the campaign is not there before it is deleted; a failed request proves nothing."""
        try:
            campaign = self.requester.read_status(self.request, deadline)
        except CampaignNotFoundError:
            return True
        except CampaignError as error:
            log.debug("Campaign %s can't be read before it is deleted: %s", self.request.campaign_id, error)
            return False
        if is_live(campaign.status):
            text = "Campaign %s is %s while it is deleted: stop it first, if it may be sending"
            log.warning(text, campaign.id, campaign.status)
        return False


def explained_not_found(
    requester: Requester, request: ApiRequest, error: CampaignNotFoundError, deadline: Deadline
) -> CampaignNotFoundError:
    """Return the error with what a request for the status says about the same id."""
    try:
        campaign = requester.read_status(request, deadline)
    except CampaignNotFoundError:
        return CampaignNotFoundError(str(error), is_confirmed=True, **refusal_details(error))
    except CampaignError:
        return error
    advice = f"Check whether it is of type {request.campaign_type!r}, and the connection's Endpoints."
    return CampaignNotFoundError(
        f"{error} But the platform shows a campaign with this id, which is {campaign.status}. "
        + (advice if requester.platform.campaign_types else ""),
        shown_status=campaign.status,
        **refusal_details(error),
    )


def seconds_of(timestamp: str | None) -> float | None:
    """Return a platform's time as seconds since the epoch; None if it is unreadable."""
    try:
        moment = datetime.fromisoformat(timestamp or "")
        return moment.astimezone(UTC).timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
