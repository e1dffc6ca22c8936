"""What every operator on one campaign has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, Context

from airflow_provider_campaign import arguments
from airflow_provider_campaign.campaign import Campaign, CampaignType
from airflow_provider_campaign.client.clock import Cancellation, Deadline
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.hooks.base import DEFAULT_TIMEOUT, CampaignHook
from airflow_provider_campaign.operators.task_record import TaskRecord
from airflow_provider_campaign.platforms.base import Action, ApiRequest
from airflow_provider_campaign.records.progress import ActionProgress


class CampaignOperator(BaseOperator):
    """
    What every operator on one campaign has.

    :param campaign_id: The campaign's id on its platform. (templated)
    :param campaign_conn_id: The connection id; its type selects the platform. (templated)
    :param campaign_type: ``sms`` or ``voice`` if the platform has types (Kore.ai). (templated)
    :param records_path: Where a record of each try is written; by default nowhere. (templated)
    :param reason: Why this is done, for the log and the record. (templated)
    :param timeout: Seconds for the whole operation: requests, retries, and waiting.
    :raises CampaignConfigError: When an argument is wrong, at parse time unless it is a template.
    """

    template_fields: Sequence[str] = ("campaign_id", "campaign_conn_id", "campaign_type", "records_path", "reason")
    ui_color = "#fbe3d6"

    fixed_campaign_type: ClassVar[CampaignType | None] = None  # the type that a subclass is for

    readers: ClassVar[Mapping[str, arguments.Reader]] = {
        "campaign_id": arguments.read_campaign_id,
        "campaign_conn_id": arguments.read_text,
        "campaign_type": arguments.read_optional_text,
        "records_path": arguments.read_records_path,
        "reason": arguments.read_reason,
        "timeout": arguments.read_seconds,
    }

    def __init__(
        self,
        *,
        campaign_id: str,
        campaign_conn_id: str = CampaignHook.default_conn_name,
        campaign_type: str | None = None,
        records_path: str | None = None,
        reason: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.fixed_campaign_type and campaign_type not in (None, self.fixed_campaign_type.value):
            problem = f"but {type(self).__name__} is for {self.fixed_campaign_type.value!r}"
            fix = "Leave it out, or use another operator."
            raise arguments.argument_error("campaign_type", campaign_type, problem, fix)
        self.campaign_id = campaign_id
        self.campaign_conn_id = campaign_conn_id
        self.campaign_type = self.fixed_campaign_type.value if self.fixed_campaign_type else campaign_type
        self.records_path = records_path
        self.reason = reason
        self.timeout = timeout
        self._cancellation = Cancellation()
        self._record: TaskRecord | None = None
        self.check_arguments()

    @cached_property
    def hook(self) -> CampaignHook:
        """The hook that the connection's type stands for."""
        return CampaignHook.for_conn_id(self.campaign_conn_id)

    def on_kill(self) -> None:
        """Send nothing more, and see to it that the record is written."""
        self._cancellation.request()
        if self._record is not None:
            self._record.end_soon()

    def check_arguments(self) -> None:
        """Read what is no template; a subclass does so once it has all its arguments."""
        readers = {name: read for name, read in self.readers.items() if name in vars(self)}
        self._templates = arguments.check_arguments(self, readers)

    def begin(self, ends_at: float | None = None) -> Deadline:
        """Replace the arguments by what they mean, and return the deadline, which may be from before a deferral."""
        vars(self).update(arguments.read_arguments(self, self.readers, self._templates))
        seconds = self.timeout if ends_at is None else ends_at - self.hook.clock.time()
        return Deadline(max(0.0, seconds), self.hook.clock, cancellation=self._cancellation)

    @contextmanager
    def record(
        self, context: Context, action: Action, carried: Mapping[str, Any] | None = None
    ) -> Iterator[ActionProgress]:
        client, campaign = self.hook.client, Campaign(self.campaign_id, "unknown", campaign_type=self.campaign_type)
        progress = ActionProgress(client, campaign, action, carried)
        self._record = record = TaskRecord.of_task(self, context, action.value, self.records_path, self._cancellation)
        record.describe(
            progress.current,
            began_at=progress.began_at,
            connection_id=self.campaign_conn_id,
            platform=client.platform,
            scope={"campaign_id": self.campaign_id, "campaign_type": self.campaign_type},
            reason=self.reason,
        )
        record.count_from(progress.requests, progress.refused)
        with record:
            try:
                yield progress
            except Exception as error:
                subject = client.requester.subject(ApiRequest(action, self.campaign_id, self.campaign_type))
                failure = error if isinstance(error, AirflowException) else as_campaign_error(error, subject)
                progress.note_failure(failure)
                if failure is error:
                    raise
                raise failure from error


def is_retry(context: Context) -> bool:
    """Return whether a previous try of this task may have reached the platform."""
    task_instance = context.get("ti") if context else None
    return (getattr(task_instance, "try_number", None) or 1) > 1
