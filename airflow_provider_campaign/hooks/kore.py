"""Kore.ai campaign management, API v1 and v2: credentials, tokens, the endpoint table, reading the answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from string import Formatter
from typing import Any
from urllib.parse import quote

import jwt
import requests

from airflow_provider_campaign.campaign import Campaign, CampaignStatus, CampaignType, canonical_status
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.calls import (
    Call,
    Target,
    Unreadable,
    Verdict,
    required_object,
    required_rows,
    required_text,
    text_of,
    word,
)
from airflow_provider_campaign.hooks.form import connection_form
from airflow_provider_campaign.hooks.retry import Deadline
from airflow_provider_campaign.hooks.transport import Request

_V1_STOP = "POST /campaign/api/v1/public/{iid}/campaign/{campaign_id}"
_V1 = "/agentassist/api/v1/public/{iid}/campaign"
_V2 = "/campaign/api/v2/public/{iid}/campaign"
_V2_VOICE = "/api/v2/public/{iid}/campaign"  # without the prefix that every other path of v2 has
_ACCOUNT = "accountId={account_id}"

ENDPOINTS: Mapping[str, Mapping[str, str]] = {
    "stop_sms": {
        "v1": f"{_V1_STOP}?campaignType=sms&trigger=stop",
        "v2": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=stop",
    },
    "stop_voice": {
        "v1": f"{_V1_STOP}?campaignType=voice&trigger=stop",
        "v2": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=stop",
    },
    "start_sms": {
        "v1": f"{_V1_STOP}?campaignType=sms&trigger=play",
        "v2": f"POST {_V2}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=sms&trigger=play",
    },
    "start_voice": {
        "v1": f"{_V1_STOP}?campaignType=voice&trigger=play",
        "v2": f"POST {_V2_VOICE}/trigger/{{campaign_id}}?{_ACCOUNT}&campaignType=voice&trigger=play",
    },
    "delete_sms": {
        "v1": f"DELETE {_V1}/{{campaign_id}}?campaignType=sms",
        "v2": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=sms",
    },
    "delete_voice": {
        "v1": f"DELETE {_V1}/{{campaign_id}}?campaignType=voice",
        "v2": f"DELETE {_V2}/{{campaign_id}}?{_ACCOUNT}&campaignType=voice",
    },
    "status": {
        "v1": f"POST {_V1}/{{campaign_id}}/status?view=status",
        "v2": f"POST {_V2}/{{campaign_id}}/status?{_ACCOUNT}&view=status",
    },
    "list": {
        "v1": f"POST {_V1}/getAllCampaignDetails",
        "v2": f"POST {_V2}/getAllCampaignDetails?{_ACCOUNT}",
    },
    "get": {
        "v1": f"GET {_V1}/{{campaign_id}}",
        "v2": f"GET {_V2}/{{campaign_id}}?{_ACCOUNT}",
    },
}
"""Method and path of every call, as the platform's pages print them (their slips settled)."""

SCHEDULE_OFF = f"POST {_V2}/schedule?enableSchedule=false&campaignName={{campaign_name}}"
"""Method and path of a call that only API v2 has, and that goes by the campaign's name."""

TOKEN_LIFETIME = 300
"""Seconds that a token is valid for; it is used once, at once, and the clocks may differ."""

PAGE_SIZE = 100
"""Rows that a list call asks for."""

LISTABLE_STATUSES = {status.value for status in CampaignStatus} - {CampaignStatus.DRAFT.value}
"""The words that the list's filter accepts."""

_TYPED_CALLS = (Call.STOP, Call.START, Call.DELETE)
_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True)
class KoreApp:
    """
    A client app of Kore.ai and how it signs.

    :param client_id: Sent as the claim ``appId``.
    :param iid: The Application ID, sent as the header ``iid``.
    :param account_id: Sent as the header ``accountId``.
    :param key: The Client Secret, or the PEM private key for RS256 and ES256.
    """

    client_id: str
    iid: str
    account_id: str
    algorithm: str
    subject: str
    key: str = field(repr=False)

    def token(self) -> str:
        """Return a fresh token, with a ``jti`` never used before."""
        now = int(time.time())
        claims = {
            "sub": self.subject,
            "appId": self.client_id,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
        }
        return jwt.encode(claims, self.key, algorithm=self.algorithm)


class SignedHeaders(requests.auth.AuthBase):
    """
    Put the app's headers, with a token of its own, on each request.

    :param app: Who signs.
    """

    def __init__(self, app: KoreApp) -> None:
        self.app = app

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers.update({"auth": self.app.token(), "iid": self.app.iid, "accountId": self.app.account_id})
        return request


@connection_form
class KoreHook(CampaignHook):
    """
    Kore.ai campaign management, API v1 and v2.

    :param campaign_conn_id: The id of a connection of type ``kore``.
    """

    conn_type = "kore"
    hook_name = "Kore.ai Campaigns"
    platform = "Kore.ai"
    campaign_types = (CampaignType.SMS.value, CampaignType.VOICE.value)
    sorts_lists = True
    rate_window = 60.0
    rate_limit = 60
    rate_limit_text = "exceeded the per-minute rate limit"
    signs_tokens = True
    advice = {
        401: "Check the connection's Client ID (login) and Client Secret (password), that JWT Algorithm is the one "
        "of the client app, and the clock of the machine that signs.",
        403: "Check that the client app has the scope Campaign Management, and the connection's Application ID (iid) "
        "and Account ID (account_id).",
        429: "The account's 60 requests a minute are used up: see who else spends them, or wait for a minute.",
    }

    @cached_property
    def app(self) -> KoreApp:
        """
        The client app that the connection describes.

        :raises CampaignConfigError: When a field is missing or wrong.
        """
        fields = self.fields
        algorithm = fields.choice("jwt_algorithm")
        symmetric = algorithm.startswith("HS")
        app = KoreApp(
            client_id=fields.required("login"),
            iid=fields.header("iid"),
            account_id=fields.header("account_id"),
            algorithm=algorithm,
            subject=fields.text("jwt_subject", "airflow"),
            key=fields.required("password") if symmetric else _pem(fields.required("private_key")),
        )
        try:
            app.token()
        except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
            field = "password" if symmetric else "private_key"
            fix = (
                "Give the Client Secret" if symmetric else "Give the PEM private key, all of it, without a pass phrase"
            )
            raise fields.error(
                field, f"is not a key for {algorithm}", f"{fix}, or choose another JWT Algorithm."
            ) from None
        return app

    @cached_property
    def endpoints(self) -> Mapping[str, str]:
        """
        Method and path of every call, with those that the connection replaces.

        :raises CampaignConfigError: When it replaces what there is not, or by what is not a path.
        """
        version = self.fields.choice("api_version")
        table = {call: row[version] for call, row in ENDPOINTS.items()}
        for call, path in self.fields.mapping("endpoints").items():
            problem = _problem(call, path)
            if problem:
                fix = f"Known calls: {', '.join(ENDPOINTS)}. Known placeholders: {', '.join(_PLACEHOLDERS)}."
                raise self.fields.error("endpoints", problem, fix)
            table[call] = f"{table[call].split(' ', 1)[0]} {path}"
        return table

    @property
    def secrets(self) -> tuple[str, ...]:
        """The Client Secret and the private key."""
        return (*super().secrets, self.app.key)

    def auth(self) -> requests.auth.AuthBase:
        """Return what signs a request."""
        return SignedHeaders(self.app)

    def request_for(self, target: Target) -> Request:
        """Return a call as it goes over the wire."""
        typed = target.call in _TYPED_CALLS
        if typed and target.campaign_type is None:
            raise CampaignConfigError(
                f"{target} ({self.where}): campaign_type is missing. Nothing was sent. "
                "Give campaign_type='sms' or campaign_type='voice'."
            )
        call = f"{target.call}_{target.campaign_type}" if typed else target.call.value
        method, template = self.endpoints[call].split(" ", 1)
        values = {
            "iid": self.app.iid,
            "account_id": self.app.account_id,
            "campaign_id": target.campaign_id or "",
        }
        path = template.format_map({name: quote(value, safe="") for name, value in values.items()})
        return Request(method, path, _EMPTY if method == "POST" else None)

    def verdict(self, document: Mapping[str, Any]) -> Verdict:
        """Return what an answer says about the call: ``status: failure|error``, or the first of its errors."""
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
        failed = bool(errors) or str(document.get("status")).casefold() in ("failure", "error")
        message = text_of(first, "msg") or text_of(first, "message") or text_of(document, "message")
        return Verdict(
            failed, message, text_of(first, "code") or text_of(document, "code"), text_of(document, "traceId")
        )

    def read_campaign(self, target: Target, document: Mapping[str, Any]) -> Campaign:
        """Return the campaign that an answer shows: at its top for stop and start, else under ``data``."""
        if target.call not in (Call.STOP, Call.START):
            campaign = _row(required_object(document, "data"), target.campaign_type, target.campaign_id)
            return replace(campaign, message=text_of(document, "message"), raw=document)
        status = canonical_status(required_text(document, "status"))
        return Campaign(
            id=target.campaign_id or "",
            status=status,
            campaign_type=target.campaign_type,
            message=text_of(document, "message"),
            updated_at=text_of(document, "updatedAt"),
            # A stop leads to Stopped; Completed is what it was before.
            already_stopped=target.call is Call.STOP and status == CampaignStatus.COMPLETED,
            raw=document,
        )

    def list_pages(
        self, campaign_type: str | None, statuses: Collection[str], newest_first: bool, deadline: Deadline
    ) -> Iterator[Campaign]:
        """
        Yield each campaign of a type once.

        Rows that leave the filter between two pages move the later ones up: so each page begins with the last row
        of the one before, and where it does not, the reading steps back until it does.
        """
        seen: set[str] = set()
        skip, overlap, stale = 0, False, 0
        while True:
            rows, more = self._page(campaign_type, statuses, newest_first, skip, deadline)
            if overlap and not (rows and rows[0].id in seen):
                skip = max(0, skip - PAGE_SIZE)
                overlap = skip > 0
                continue
            fresh = {row.id: row for row in rows if row.id not in seen}
            yield from fresh.values()
            if not more:
                return
            stale = 0 if fresh else stale + 1
            self.check_progress(Target(Call.LIST, None, campaign_type), stale)
            seen.update(fresh)
            overlap = len(rows) > 1
            skip += max(1, len(rows) - 1)

    def switch_schedule_off(self, campaign_name: str, *, deadline: Deadline | None = None) -> Campaign:
        """
        Switch a campaign's own schedule off, so that the platform does not start it by itself again (API v2).

        :param campaign_name: The campaign's name; this call does not go by the id.
        :param deadline: When to give up.
        :raises CampaignConfigError: When the name is empty, or the connection's API version is v1.
        """
        target = Target(Call.SCHEDULE, campaign_name)
        if self.fields.choice("api_version") != "v2" or not campaign_name.strip():
            raise CampaignConfigError(
                f"{self.subject(target)}: only API v2 has this call, and it takes the campaign's name. "
                "Nothing was sent. Set API Version (api_version) to v2, and give the name."
            )
        method, template = SCHEDULE_OFF.split(" ", 1)
        path = template.format(iid=quote(self.app.iid, safe=""), campaign_name=quote(campaign_name, safe=""))
        return self.fetch(
            target,
            Request(method, path, _EMPTY),
            deadline or self.default_deadline(),
            lambda document: replace(_row(required_object(document, "data"), None), raw=document),
        )

    def probe(self, target: Target) -> Request:
        """Return the list call for a single row."""
        return self._list_request(target, {"limit": 1, "skip": 0})

    def describe_list(self, document: Mapping[str, Any]) -> str:
        """Say how many campaigns the account has."""
        data = required_object(document, "data")
        required_rows(data, "results")
        total = text_of(data, "totalResults") or "an unknown number of"
        return (
            f"API {self.fields.choice('api_version')} answers, account {self.app.account_id} has {total} SMS campaigns."
        )

    def _page(
        self,
        campaign_type: str | None,
        statuses: Collection[str],
        newest_first: bool,
        skip: int,
        deadline: Deadline,
    ) -> tuple[list[Campaign], bool]:
        """Return the rows of a page, and whether there are more."""
        target = Target(Call.LIST, None, campaign_type)
        order = {"updatedAt": "desc"} if newest_first else {"createdAt": "asc"}
        body: dict[str, Any] = {"limit": PAGE_SIZE, "skip": skip, "sortBy": order}
        wanted = sorted({canonical_status(status) for status in statuses} & LISTABLE_STATUSES)
        if wanted:
            body["filters"] = {"status": wanted}

        def read(document: Mapping[str, Any]) -> tuple[list[Campaign], bool]:
            data = required_object(document, "data")
            rows = [_row(row, campaign_type) for row in required_rows(data, "results")]
            more = data.get("hasMore", len(rows) == PAGE_SIZE)
            if not isinstance(more, bool) or (more and not rows):
                raise Unreadable("the answer says that there is more but shows no rows")
            return rows, more

        return self.fetch(target, self._list_request(target, body), deadline, read)

    def _list_request(self, target: Target, body: Mapping[str, Any]) -> Request:
        return replace(self.request_for(target), json={"type": target.campaign_type, **body})


_PLACEHOLDERS = ("{iid}", "{campaign_id}", "{account_id}")


def _problem(call: str, path: Any) -> str | None:
    """Return what is wrong with an entry that replaces a path."""
    if call not in ENDPOINTS:
        return f"replaces {call!r}, which is not a call"
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or not path.isprintable():
        return f"gives {call} something that is not a path beginning with one /"
    try:
        fields = [field for _, *field in Formatter().parse(path) if field[0] is not None]
    except ValueError:
        return f"gives {call} a path with a single brace"
    names = {f"{{{name}}}" if not (spec or conversion) else f"{{{name}…}}" for name, spec, conversion in fields}
    unknown = names - set(_PLACEHOLDERS)
    if unknown:
        return f"gives {call} a path with the unknown placeholder {', '.join(sorted(unknown))}"
    if "{campaign_id}" in ENDPOINTS[call]["v1"] and "{campaign_id}" not in names:
        return f"gives {call} a path without {{campaign_id}}"
    return None


def _pem(text: str) -> str:
    return text.replace("\\n", "\n")


def _row(row: Mapping[str, Any], campaign_type: str | None, campaign_id: str | None = None) -> Campaign:
    """Return the campaign of a row or record; its key is ``id``, or ``_id`` in v2's voice rows."""
    row_id = text_of(row, "id") or text_of(row, "_id")
    if row_id is None and campaign_id is None:
        raise Unreadable("a row has neither id nor _id")
    if row_id and campaign_id and row_id != campaign_id:
        raise Unreadable(f"the answer is about another campaign, {row_id!r}")
    return Campaign(
        id=word(row_id or campaign_id or "", "id"),
        status=canonical_status(required_text(row, "status")),
        name=text_of(row, "name"),
        campaign_type=campaign_type,
        priority=text_of(row, "priority"),
        updated_at=text_of(row, "updatedAt"),
        raw=row,
    )
