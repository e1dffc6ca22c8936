"""The contract that every platform keeps, and what its calls mean to whoever depends on them."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from airflow_provider_campaign.campaign import (
    START_GOAL,
    STOP_GOAL,
    Campaign,
    Goal,
    Outlook,
    check_campaign_id,
)
from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.hooks.caller import CallingHook
from airflow_provider_campaign.hooks.calls import Call, Target, Unreadable
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.transport import Request


class CampaignHook(CallingHook):
    """
    Stop, start, delete, read and list the campaigns of one account.

    A platform is a subclass of this in a module of its own, and one entry in the provider's metadata.

    :param campaign_conn_id: The connection id.
    """

    campaign_types: ClassVar[tuple[str, ...]] = ()
    """The types that its calls tell apart; empty where there is but one."""

    sorts_lists: ClassVar[bool] = False
    """Whether its lists can be had with the campaigns that changed last at the top."""

    documents_statuses: ClassVar[bool] = True
    """Whether all its status words are known, so that any other is none of a live campaign."""

    # What a platform says of itself.

    @abstractmethod
    def read_campaign(self, target: Target, document: Mapping[str, Any]) -> Campaign:
        """
        Return the campaign that an answer shows.

        :raises Unreadable: When it does not show one.
        """

    @abstractmethod
    def list_pages(
        self, campaign_type: str | None, statuses: Collection[str], newest_first: bool, deadline: Deadline
    ) -> Iterator[Campaign]:
        """Yield each campaign of a type once, over all pages; the statuses are a wish to the platform."""

    # The calls.

    def stop_campaign(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        check_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Campaign:
        """
        Stop a campaign, or find that it is stopped or completed.

        The campaign returned may still be winding down: look at its status, or wait for it.

        :param campaign_type: ``sms`` or ``voice`` where the platform tells types apart.
        :param check_first: Read the status before anything is sent: an earlier run may have been heard.
        :param deadline: When to give up.
        :raises CampaignConflictError: When the campaign has not started, so that there is nothing to stop.
        :raises CampaignError: As the platform's answer demands.
        """
        return self._bring(Target(Call.STOP, campaign_id, campaign_type), STOP_GOAL, check_first, deadline)

    def start_campaign(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        check_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Campaign:
        """
        Start a campaign, or find that it is running; the parameters are those of :meth:`stop_campaign`.

        :raises CampaignConflictError: When the campaign can't be started.
        """
        return self._bring(Target(Call.START, campaign_id, campaign_type), START_GOAL, check_first, deadline)

    def delete_campaign(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        check_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Campaign | None:
        """
        Delete a campaign; the parameters are those of :meth:`stop_campaign`.

        :returns: The campaign as it was, or None where an earlier request that may have been heard did it.
        :raises CampaignNotFoundError: When there is no such campaign.
        """
        target = self._checked(Target(Call.DELETE, campaign_id, campaign_type))
        unsure = check_first

        def attempt(deadline: Deadline) -> Campaign | None:
            nonlocal unsure
            if unsure and self._look_up(target, deadline) is None:
                return None
            try:
                return self._perform(target, deadline)
            except CampaignUnavailableError as error:
                unsure = unsure or error.maybe_heard
                raise
            except CampaignNotFoundError:
                # An earlier request may have done it late; but a wrong type is not found either.
                if unsure and self._look_up(target, deadline) is None:
                    return None
                raise

        return self.retrying(attempt, deadline)

    def get_campaign(self, campaign_id: str, *, deadline: Deadline | None = None) -> Campaign:
        """Return a campaign with all that the platform tells about it in ``raw``."""
        return self._read(Target(Call.GET, campaign_id), deadline)

    def get_campaign_status(self, campaign_id: str, *, deadline: Deadline | None = None) -> Campaign:
        """Return a campaign with its status, by the cheapest call there is."""
        return self._read(Target(Call.STATUS, campaign_id), deadline)

    def glance(self, campaign_id: str, *, deadline: Deadline | None = None) -> Campaign:
        """Read a campaign's status once, without trying again: for those who will look again anyway."""
        target = self._checked(Target(Call.STATUS, campaign_id))
        return self._perform(target, deadline or self.default_deadline())

    def list_campaigns(
        self,
        campaign_types: Collection[str] | None = None,
        statuses: Collection[str] = (),
        *,
        newest_first: bool = False,
        deadline: Deadline | None = None,
    ) -> Iterator[Campaign]:
        """
        Yield each campaign of the account once, page by page as it is asked for.

        :param campaign_types: Some of the platform's types; all of them where None.
        :param statuses: Only campaigns in one of these, without regard to case; all of them where empty.
        :param newest_first: Those changed last come first, where the platform can sort.
        :param deadline: When to give up.
        :raises CampaignConfigError: When a type is not one of the platform's.
        """
        wanted: Collection[str | None] = self.campaign_types or (None,)
        if campaign_types is not None and self.campaign_types:
            wanted = (campaign_types,) if isinstance(campaign_types, str) else campaign_types
        for campaign_type in wanted:
            self._check_type(Target(Call.LIST, None, campaign_type))
        words = {status.casefold() for status in statuses}
        deadline = deadline or self.default_deadline()
        for campaign_type in wanted:
            for campaign in self.list_pages(campaign_type, statuses, newest_first, deadline):
                if not words or campaign.status.casefold() in words:
                    yield campaign

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap read and say what was seen, or what to fix."""
        target = Target(Call.LIST, None, next(iter(self.campaign_types), None))
        try:
            deadline = Deadline.after(self.settings.timeout, self.clock)
            document = self.send(target, self.probe(target), deadline)
            return True, f"Connected to {self.platform}: {self.describe_list(document)}"
        except Unreadable as error:
            return False, f"{self.settings.base_url} answers, but not as {self.platform} does: {error}"
        except CampaignError as error:
            return False, str(error)

    def probe(self, target: Target) -> Request:
        """Return the cheapest list call there is."""
        return self.request_for(target)

    def describe_list(self, document: Mapping[str, Any]) -> str:
        """Say in a few words what an answer to the list call shows."""
        return "the account answers."

    def _bring(self, target: Target, goal: Goal, check_first: bool, deadline: Deadline | None) -> Campaign:
        """Stop or start: act unless the campaign's state says that there is nothing to do."""
        target = self._checked(target)
        unsure, ours = check_first, False

        def attempt(deadline: Deadline) -> Campaign:
            nonlocal unsure, ours
            if unsure:
                settled = self._settled(target, goal, deadline, ours)
                if settled is not None:
                    return settled
            try:
                campaign = self._perform(target, deadline)
            except CampaignUnavailableError as error:
                unsure = ours = ours or error.maybe_heard
                raise
            except (CampaignConflictError, CampaignRequestError) as refusal:
                if refusal.http_status == 404 or not 400 <= (refusal.http_status or 0) < 500:
                    raise
                unsure = True
                settled = self._settled(target, goal, deadline, ours, refusal)
                unsure = False
                if settled is None:
                    if not isinstance(refusal, CampaignConflictError):
                        raise
                    raise _unexplained(refusal) from refusal
                return dataclasses.replace(settled, message=refusal.platform_text)
            if goal.outlook(campaign.status) is Outlook.IMPOSSIBLE:
                raise self._conflict(target, campaign)
            return campaign

        return self.retrying(attempt, deadline)

    def _settled(
        self, target: Target, goal: Goal, deadline: Deadline, ours: bool, refusal: CampaignError | None = None
    ) -> Campaign | None:
        """Read the state before or after a call, and return the campaign if there is nothing left to do."""
        campaign = self._perform(dataclasses.replace(target, call=Call.STATUS), deadline)
        outlook = goal.outlook(campaign.status)
        if outlook is Outlook.IMPOSSIBLE:
            raise self._conflict(target, campaign, refusal)
        if outlook is Outlook.KEEP_WAITING and not goal.is_under_way(campaign.status):
            return None
        return dataclasses.replace(campaign, already_stopped=target.call is Call.STOP and not ours)

    def _conflict(
        self, target: Target, campaign: Campaign, refusal: CampaignError | None = None
    ) -> CampaignConflictError:
        return CampaignConflictError(
            f"Can't {target.call} campaign {campaign.id!r} ({self.where}): it is {campaign.status}. "
            f"{self.next_step(409)}{_quote(refusal)}",
            **_details(refusal),
        )

    def _look_up(self, target: Target, deadline: Deadline) -> Campaign | None:
        try:
            return self._perform(dataclasses.replace(target, call=Call.STATUS), deadline)
        except CampaignNotFoundError:
            return None

    def _read(self, target: Target, deadline: Deadline | None) -> Campaign:
        target = self._checked(target)
        return self.retrying(lambda deadline: self._perform(target, deadline), deadline)

    def _perform(self, target: Target, deadline: Deadline) -> Campaign:
        """Make a call about one campaign once, and read the answer."""
        document = self.send(target, self.request_for(target), deadline)
        return self.reading(target, document, lambda document: self.read_campaign(target, document))

    def _checked(self, target: Target) -> Target:
        """
        Return the target if it can be asked for; all that is wrong with it or the connection comes out here.

        :raises CampaignConfigError: When anything is; nothing has been sent.
        """
        check_campaign_id(target.campaign_id)
        if target.campaign_type is not None:
            self._check_type(target)
        self.request_for(target)
        self.auth()
        return target

    def _check_type(self, target: Target) -> None:
        if target.campaign_type is None or target.campaign_type in self.campaign_types:
            return
        has = " or ".join(map(repr, self.campaign_types))
        raise CampaignConfigError(
            f"{self.subject(target)}: {self.platform} has no campaigns of type {target.campaign_type!r}. "
            f"Nothing was sent. {f'Use {has}' if has else 'Leave campaign_type out, or use StopCampaignOperator'}."
        )


def _unexplained(refusal: CampaignConflictError) -> CampaignUnavailableError:
    """Return what a conflict means once the campaign was seen in a state that does not explain it."""
    return CampaignUnavailableError(f"{refusal} Its status does not explain the refusal.", **_details(refusal))


def _quote(refusal: CampaignError | None) -> str:
    """Return what the platform said with a refusal, to be added to a message."""
    if refusal is None:
        return ""
    named = {"HTTP": refusal.http_status, "code": refusal.code, "trace id": refusal.trace_id}
    marks = ", ".join(f"{name} {value}" for name, value in named.items() if value)
    return f" The platform said: {refusal.platform_text or 'nothing'} [{marks}]."


def _details(refusal: CampaignError | None) -> dict[str, Any]:
    """Return what the platform said with a refusal, for another error that stands for it."""
    return {name: getattr(refusal, name, None) for name in ("http_status", "code", "trace_id", "platform_text")}
