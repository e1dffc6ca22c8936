"""Operators that delete campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airflow.providers.common.compat.sdk import Context

from airflow_provider_campaign.arguments import read_bool
from airflow_provider_campaign.campaign import Campaign, CampaignType, may_be_live
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Deadline
from airflow_provider_campaign.client.errors import refusal_details
from airflow_provider_campaign.exceptions import CampaignNotFoundError
from airflow_provider_campaign.operators.base import CampaignOperator, is_retry
from airflow_provider_campaign.platforms.base import Action
from airflow_provider_campaign.waiting.account_poller import wait_for_effect


class DeleteCampaignOperator(CampaignOperator):
    """
    Delete a campaign on a platform that can (Kore.ai).

    The parameters are those of :class:`.CampaignOperator`, and these.

    :param ignore_missing: Whether a campaign that is not there is a success. (templated)
    :param stop_first: Whether a campaign that is live is stopped before.
    :returns: The same keys as a stop; ``status`` is what the campaign was in, ``Deleted`` if the platform no
        longer shows it.
    :raises CampaignNotFoundError: When there is no such campaign, unless a previous try of this task is known, by its
        record, to have sent a delete.
    """

    template_fields: Sequence[str] = (*CampaignOperator.template_fields, "ignore_missing")
    readers = {**CampaignOperator.readers, "ignore_missing": read_bool, "stop_first": read_bool}

    def __init__(self, *, ignore_missing: bool | str = False, stop_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing
        self.stop_first = stop_first
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the campaign and return what it was."""
        deadline = self.begin()
        with self.record(context, Action.DELETE) as progress:
            campaign = self._delete(progress.client, deadline, is_retry=is_retry(context))
            gone = replace(campaign, status="Deleted", campaign_type=campaign.campaign_type or self.campaign_type)
            progress.note(gone, is_confirmed=True, status_before=campaign.status)
        self.log.info("Campaign %s is deleted; it was %s", campaign.id, campaign.status)
        return campaign.as_dict()

    def _delete(self, client: CampaignClient, deadline: Deadline, *, is_retry: bool) -> Campaign:
        """Delete the campaign and return it as it was, as far as the platform shows it."""
        gone = Campaign(self.campaign_id, "Deleted", message="The campaign is not there any more")
        try:
            if self.stop_first:
                self._stop(client, deadline)
            return client.delete_campaign(self.campaign_id, self.campaign_type, deadline=deadline) or gone
        except CampaignNotFoundError as error:
            if error.shown_status is not None:
                raise
            if self._was_sent_before():
                self.log.info("A previous try has deleted it: %s", error)
            elif self.ignore_missing:
                self.log.info("There is nothing to delete: %s", error)
            elif is_retry:
                raise CampaignNotFoundError(
                    f"{error} A previous try of this task may have deleted it, but nothing shows that it has sent a "
                    "delete. If it is fine that the campaign is not there, set ignore_missing=True.",
                    **refusal_details(error),
                ) from error
            else:
                raise
        return gone

    def _was_sent_before(self) -> bool:
        """Return whether a previous try of this task has deleted the campaign, or sent a delete without a response."""
        before = self._record.load_earlier_tries().campaigns if self._record else ()
        is_gone = (
            each["unanswered"] or (each["confirmed_at"] and each["status_before"] != "Deleted") for each in before
        )
        return any(is_gone)

    def _stop(self, client: CampaignClient, deadline: Deadline) -> None:
        """Stop the campaign if it is live, and wait until it is stopped."""
        try:
            status = client.get_campaign_status(self.campaign_id, deadline=deadline).status
        except CampaignNotFoundError:
            return  # the delete itself has to say so
        if may_be_live(status):
            campaign = client.stop_campaign(self.campaign_id, self.campaign_type, deadline=deadline)
            wait_for_effect(client, campaign, deadline)
            self.log.info("Campaign %s is stopped, and will be deleted", self.campaign_id)


class DeleteSmsCampaignOperator(DeleteCampaignOperator):
    """Delete an SMS campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.SMS


class DeleteVoiceCampaignOperator(DeleteCampaignOperator):
    """Delete a voice campaign on Kore.ai; the parameters are those of :class:`DeleteCampaignOperator`."""

    fixed_campaign_type = CampaignType.VOICE
