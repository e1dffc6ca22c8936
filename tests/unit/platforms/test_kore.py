"""Kore.ai as pure data: requests out, documents in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.platforms import base
from airflow_provider_campaign.platforms.base import Action, ApiRequest, ApiStatus, HttpRequest, InvalidResponseError
from airflow_provider_campaign.platforms.kore_list import LISTABLE_STATUSES
from tests.accounts import CONFIG, KORE_V1, KORE_V2, SONARLY

V2 = "/campaign/api/v2/public/st-1/campaign"


def test_a_schedule_is_switched_off_by_the_campaigns_name() -> None:
    request = KORE_V2.http_request(ApiRequest(Action.SCHEDULE, "Evening & night"))
    path = f"{V2}/schedule?enableSchedule=false&campaignName=Evening%20%26%20night"
    assert request == HttpRequest("POST", path, {})
    campaign = KORE_V2.read_campaign(
        ApiRequest(Action.SCHEDULE, "Evening & night"), {"data": {"_id": "c-1", "status": "ready"}}
    )
    assert (campaign.id, campaign.status) == ("c-1", "Ready")


def test_a_token_says_who_signs_and_is_valid_for_minutes_only() -> None:
    tokens = [KORE_V1.signed_headers(1000.9)["auth"] for _ in range(2)]
    claims = [jwt.decode(t, CONFIG.client_secret, ["HS256"], options={"verify_exp": False}) for t in tokens]
    assert claims[0].pop("jti") != claims[1].pop("jti")
    assert claims[0] == claims[1] == {"sub": "airflow", "appId": CONFIG.client_id, "exp": 1300}


def test_no_secret_is_in_the_repr() -> None:
    for platform, secret in ((KORE_V1, CONFIG.client_secret), (SONARLY, CONFIG.api_key)):
        assert platform.secrets == (secret,)
        assert secret not in repr(platform)


REFUSED = "You've exceeded the per-minute rate limit."


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"status": "success"}, ApiStatus()),
        ({"status": "Stopped", "message": "Campaign Stopped"}, ApiStatus(message="Campaign Stopped")),
        ({"status": "failure", "message": "Broken"}, ApiStatus(True, "Broken")),
        ({"status": "ERROR"}, ApiStatus(True)),
        ({"errors": [{"msg": "Broken", "code": 4001}], "traceId": "t"}, ApiStatus(True, "Broken", "4001", "t")),
        ({"errors": [{"message": "Broken"}], "code": "X"}, ApiStatus(True, "Broken", "X")),
        ({"errors": ["Broken"]}, ApiStatus(True)),
        ({"errors": {"a": 1}, "message": ["x"]}, ApiStatus(True)),
        ({"errors": [], "status": 7}, ApiStatus(is_own=False)),
        ({"statusCode": 403, "message": "Forbidden"}, ApiStatus(message="Forbidden", is_own=False)),
        ({"status": "Failed ", "data": {"results": []}}, ApiStatus(True)),
        ({"success": False, "data": {"results": []}}, ApiStatus(True)),
        ({"code": 7, "message": REFUSED}, ApiStatus(True, REFUSED, "7", is_own=False)),
    ],
)
def test_what_a_response_says_about_the_request(document: dict[str, Any], status: ApiStatus) -> None:
    assert KORE_V1.api_status(document) == status


Row = dict[str, Any]
STOP = ApiRequest(Action.STOP, "c-1", "voice")
START = ApiRequest(Action.START, "c-1", "voice")
STATUS = ApiRequest(Action.STATUS, "c-1")


@pytest.mark.parametrize(
    ("word", "status", "already"), [("STOPPED", "Stopped", False), ("completed", "Completed", True)]
)
def test_a_response_to_a_stop_shows_the_campaign_at_its_top(word: str, status: str, already: bool) -> None:
    document = {"status": word, "message": "Done", "updatedAt": "2026-03-02T18:00:00Z", "campaignInstanceId": "i-1"}
    known: dict[str, Any] = {"message": "Done", "updated_at": "2026-03-02T18:00:00Z", "already_stopped": already}
    assert KORE_V1.read_campaign(STOP, document) == Campaign("c-1", status, campaign_type="voice", **known)


@pytest.mark.parametrize("key", ["id", "_id"])
def test_every_other_response_shows_it_under_data(key: str) -> None:
    row = {key: "c-1", "status": "active", "name": "Evening", "priority": 1, "updatedAt": "2026-03-02T18:00:00Z"}
    document = {"status": "success", "message": "Here it is", "data": row}
    campaign = KORE_V1.read_campaign(STATUS, document)
    assert (campaign.id, campaign.status, campaign.name, campaign.priority) == ("c-1", "Active", "Evening", "1")
    assert campaign.message == "Here it is"
    assert KORE_V1.read_campaign(STATUS, {"data": {"status": "Paused"}}).id == "c-1", "it need not repeat the id"


@pytest.mark.parametrize(
    ("asked", "document", "problem"),
    [
        (STOP, {}, "no status"),
        (STOP, {"status": ["Stopped"]}, "no status"),
        (STOP, {"status": "Stop\x00ped"}, "status is not a word"),
        (STOP, {"status": "x" * 301}, "status is not a word"),
        (STOP, {"data": {"id": "c-1", "status": "Stopped"}}, "no status"),
        (STOP, {"id": "c-2", "status": "Stopped"}, "about another campaign, 'c-2'"),
        (START, {"id": "c-2", "status": "Active"}, "about another campaign, 'c-2'"),
        (STATUS, {"status": "Stopped"}, "no object data"),
        (STATUS, {"data": []}, "no object data"),
        (STATUS, {"data": {"id": "c-1"}}, "no status"),
        (STATUS, {"data": {"id": "c-2", "status": "Stopped"}}, "about another campaign, 'c-2'"),
    ],
)
def test_a_response_that_is_not_as_documented_shows_no_campaign(asked: ApiRequest, document: Row, problem: str) -> None:
    with pytest.raises(InvalidResponseError, match=problem):
        KORE_V1.read_campaign(asked, document)


# The list.


def page_of(rows: list[Row], body: Any) -> Row:
    """Return the data of the page that a list request asks for, of the rows there are just now."""
    wanted = body.get("filters", {}).get("status")
    matching = [row for row in rows if wanted is None or row["status"] in wanted]
    shown = matching[body["skip"] : body["skip"] + body["limit"]]
    more = body["skip"] + len(shown) < len(matching)
    return {"results": shown, "totalResults": len(matching), "hasMore": more}


def rows_of(count: int, status: str = "Active") -> list[Row]:
    return [{"id": f"c-{number}", "status": status} for number in range(count)]


def read_pages(page: Callable[[Any], Row], *statuses: str) -> tuple[list[str], list[str], int]:
    """Read a list whose pages a function makes of the bodies of requests; return ids, problems, and number of pages."""
    pager, listed, pages = KORE_V2.pager(base.ListQuery("sms", statuses)), [], 0
    while (request := pager.next_request) is not None:
        listed += [campaign.id for campaign in pager.read_page({"data": page(request.json)})]
        pages += 1
        assert pages < 60
    return listed, pager.problems, pages


def read(rows: list[Any], **data: Any) -> tuple[list[str], list[str], int]:
    return read_pages(lambda body: {**page_of(rows, body), **data})


def test_the_first_page_asks_for_the_wanted_statuses_that_the_platform_knows() -> None:
    pager = KORE_V2.pager(base.ListQuery("voice", ["active", "PREPARING", "Rerun", "Draft", "windingDown"]))
    body = {"type": "voice", "limit": base.PAGE_SIZE, "skip": 0}
    wanted = {**body, "sortBy": {"createdAt": "asc"}, "filters": {"status": ["Active", "Preparing"]}}
    assert pager.next_request == HttpRequest("POST", f"{V2}/getAllCampaignDetails?accountId=acc-1", wanted)
    newest = KORE_V2.pager(base.ListQuery("voice", newest_first=True)).next_request
    assert newest is not None
    assert newest.json == {**body, "sortBy": {"updatedAt": "desc"}}
    assert {"Draft", "Rerun"}.isdisjoint(LISTABLE_STATUSES)


@pytest.mark.parametrize("count", [0, 1, base.PAGE_SIZE - 1, base.PAGE_SIZE, base.PAGE_SIZE + 1, 10 * base.PAGE_SIZE])
def test_a_list_of_any_length_is_read_whole(count: int) -> None:
    assert read(rows_of(count))[:2] == ([f"c-{number}" for number in range(count)], [])


Change = tuple[float, int, str | None]
"""Where in the list, how many rows, and what becomes of their status; None where they are deleted."""

changes = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 30, 120]), st.sampled_from([None, "Stopped", "Active"]))


UNCHANGED: Change = (0.0, 0, None)


@example(count=200, between_pages=[(0.0, 30, None), UNCHANGED, (0.0, 1, None), UNCHANGED])
@example(count=1000, between_pages=[(0.0, 480, "Stopped"), *[UNCHANGED] * 4])  # most of the rows that were read
@example(count=1000, between_pages=[(0.0, 496, "Stopped"), *[UNCHANGED] * 4])  # all of them
@given(count=st.integers(0, 450), between_pages=st.lists(changes, max_size=10))
def test_rows_that_change_while_a_list_is_read_hide_no_other_row(count: int, between_pages: list[Change]) -> None:
    rows = rows_of(count)
    steady = {row["id"] for row in rows}

    def page(body: Any) -> Row:
        shown = page_of([dict(row) for row in rows], body)
        place, number, status = between_pages.pop() if between_pages else UNCHANGED
        first = int(place * len(rows))
        changed = rows[first : first + number]
        steady.difference_update(row["id"] for row in changed)
        if status is None:
            del rows[first : first + number]
        for row in changed:
            row["status"] = status
        return shown

    listed, _, _ = read_pages(page, "Active")
    assert steady <= set(listed)
    assert len(listed) == len(set(listed))


def test_a_row_that_can_not_be_read_hides_no_other() -> None:
    rows = [*rows_of(2), {"id": "c-2", "name": "Evening"}, {"status": "Active"}, {"_id": "c-4", "status": "Active"}]
    listed, problems, _ = read(rows)
    assert listed == ["c-0", "c-1", "c-4"]
    assert problems == [
        "a row (c-2 Evening) can't be read: the response has no status",
        "a row (without id and name) can't be read: the response has no id or _id",
    ]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
junk = (
    scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from(["id", "_id", "status", "name"]), scalars)
)


@example(count=150, odd={base.PAGE_SIZE - 1: {"id": "c-99"}}, total=None)  # the next page begins with it
@example(count=150, odd={base.PAGE_SIZE - 1: None}, total=None)
@given(
    count=st.integers(0, 250),
    odd=st.dictionaries(st.integers(0, 249), junk, max_size=30),
    total=st.none() | junk.filter(lambda value: not isinstance(value, int)),
)
def test_neither_rows_nor_totals_of_any_kind_hide_a_row(count: int, odd: dict[int, Any], total: object) -> None:
    listed, _, _ = read([odd.get(number, row) for number, row in enumerate(rows_of(count))], totalResults=total)
    readable = [f"c-{number}" for number in range(count) if number not in odd]
    assert [campaign_id for campaign_id in listed if campaign_id in set(readable)] == readable


def test_a_last_row_that_is_another_each_time_that_it_is_shown_hides_no_other() -> None:
    shown, rows = itertools.count(), rows_of(150)

    def page(body: Any) -> Row:
        rows[base.PAGE_SIZE - 1] = {"name": f"Evening {next(shown)}"}
        return page_of(rows, body)

    listed, problems, _ = read_pages(page)
    assert len(listed) == 149
    assert "its rows differ each time that they are listed" in problems


NO_ENDS: Any = ("false", 0, 1, {}, math.pi, None)
NO_TOTALS: Any = (-1, 10**400, 1e300, "150", None, True, 0, [150])
ODD = [*itertools.product(["hasMore"], NO_ENDS), *itertools.product(["totalResults"], NO_TOTALS)]


@pytest.mark.parametrize(("key", "value"), ODD, ids=lambda value: repr(value)[:20])
def test_a_mark_for_the_end_or_a_total_that_is_none_hides_no_rows(key: str, value: object) -> None:
    listed, problems, pages = read(rows_of(150), **{key: value})
    assert (len(listed), bool(problems), pages) == (150, value == 10**400, 2)


def test_a_list_that_never_ends_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_ROWS", 500)
    rows = ({"id": f"c-{number}", "status": "Active"} for number in itertools.count())
    _, problems, _ = read_pages(lambda _: {"results": [*itertools.islice(rows, 100)], **MORE})
    assert problems == ["it does not end after 500 campaigns"]


MORE = {"hasMore": True, "totalResults": 10**6}
PRIORITIES = [("5", "5"), (5.0, "5"), (" 1 ", "1"), (0, None), ("٣", None), (None, None), (True, None)]


def test_a_priority_is_one_of_those_that_are_documented_or_none() -> None:
    rows = [{"id": f"c-{n}", "status": "Active", "priority": shown} for n, (shown, _) in enumerate(PRIORITIES)]
    listed = KORE_V1.pager(base.ListQuery("sms")).read_page({"data": page_of(rows, {"skip": 0, "limit": 9})})
    assert [campaign.priority for campaign in listed] == [priority for _, priority in PRIORITIES]


@pytest.mark.parametrize(
    ("asked", "shown", "is_problem"),
    [
        (["Active", "Preparing"], "Running", True),
        (["Active", "Preparing", "Rerun"], "Rerun", False),
        (["Active", "Preparing"], "Stopped", False),
        ([], "Running", False),
    ],
)
def test_an_undocumented_word_of_a_filtered_list_may_be_live(asked: list[str], shown: str, is_problem: bool) -> None:
    rows = [{"id": "c-1", "status": "Active"}, {"id": "c-2", "status": shown}]
    _, problems, _ = read_pages(lambda _: {"results": rows, "totalResults": 2, "hasMore": False}, *asked)
    assert problems == [f"it shows c-2 as {shown}, which is not documented and may be live"] * is_problem


def test_a_campaign_with_rows_in_several_statuses_is_shown_in_each() -> None:
    rows = [*rows_of(2), *rows_of(2, "Stopped"), *rows_of(2)]
    assert read(rows)[:2] == (["c-0", "c-1"] * 2, [])


def test_a_list_that_ends_before_its_own_total_contradicts_itself() -> None:
    listed, problems, pages = read(rows_of(3), totalResults=5)
    assert (len(listed), pages) == (3, 1)
    assert problems == ["the list contradicts itself: it ends after 3 campaigns and says that it has 5"]


@pytest.mark.parametrize("most", [7, base.PAGE_SIZE])
def test_without_has_more_and_total_a_list_is_read_until_nothing_new_comes(most: int) -> None:
    """Also where the platform shows fewer rows a page than it is asked for."""
    rows = rows_of(20)
    listed, problems, _ = read_pages(lambda body: {"results": rows[body["skip"] : body["skip"] + most]})
    assert (listed, problems) == ([row["id"] for row in rows], [])


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": {}},
        {"data": {"results": 7}},
        {"data": {"results": [], "hasMore": True}},
        {"data": {"results": [], "hasMore": "no"}},
        {"data": {"results": [], "totalResults": "7"}},
        {"data": {"results": rows_of(2), "totalResults": "2", "hasMore": None}},
    ],
)
def test_what_is_no_page_is_asked_for_again(document: dict[str, Any]) -> None:
    pager = KORE_V1.pager(base.ListQuery("sms"))
    before = pager.next_request
    with pytest.raises(InvalidResponseError):
        pager.read_page(document)
    assert pager.next_request == before


@pytest.mark.parametrize(("rows", "fresh"), [(rows_of(2), 1), ([{"status": "Active"}], 0)], ids=["same", "odd"])
def test_a_list_that_makes_no_progress_is_abandoned_and_reported(rows: list[Row], fresh: int) -> None:
    _, problems, pages = read_pages(lambda _: {"results": rows, "hasMore": True})
    assert pages == base.MAX_PAGES_WITHOUT_PROGRESS + 1 + fresh
    assert problems[-1] == "the responses say that there is more, and show nothing new"
