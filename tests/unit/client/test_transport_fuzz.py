"""Whatever bytes come back: the response to the request that was sent, or an outcome that the client knows."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.transport import NotSent, Transport
from airflow_provider_campaign.exceptions import CampaignError, CampaignUnavailableError
from airflow_provider_campaign.platforms.base import Action, ApiRequest, HttpRequest
from tests.accounts import KORE_V1, client_of
from tests.profiles import examples
from tests.servers import RawServer

PATIENCE = 0.1
"""Seconds that a request may take to a server that leaves the connection open, and may have more to say."""

AMPLE = 60.0
"""Seconds that no other request takes, however busy the machine is."""

STOPPED = b'{"status": "Stopped", "message": "Campaign Stopped", "updatedAt": "2026-03-02T18:00:00Z"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(STOPPED), STOPPED)
BROKEN_DOWN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Script:
    """
    What a server says to a stop of ``a``; one of ``b`` always fails.

    :param late: Sent first where the same connection is used for another request.
    :param leaves_open: Whether it leaves it to the client to close the connection.
    """

    pieces: list[bytes] = field(default_factory=list)
    late: bytes = b""
    leaves_open: bool = False


class Platform(RawServer):
    """A server that follows a script, and clients of it."""

    def __init__(self) -> None:
        super().__init__(self._answer, keeps_open=True)
        self.script = Script()
        self._used: set[socket.socket] = set()
        self._transport = Transport(self.url)

    def stop(self, campaign_id: str, seconds: float = AMPLE) -> Campaign:
        """Send one stop, and no second."""
        client = client_of(KORE_V1, self._transport, timeout=seconds)
        return client.requester.perform(ApiRequest(Action.STOP, campaign_id, "sms"), client.deadline(AMPLE))

    def _answer(self, connection: socket.socket) -> None:
        is_used = connection in self._used
        self._used.add(connection)
        if is_used:
            connection.sendall(self.script.late)
        if b"/b?" in self.requests[-1]:
            connection.sendall(BROKEN_DOWN)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in self.script.pieces:
            connection.sendall(piece)
        if not self.script.leaves_open:
            connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform() as platform:
        yield platform


def check_that_the_next_stop_gets_its_own_response(platform: Platform) -> None:
    with pytest.raises(CampaignUnavailableError) as raised:
        platform.stop("b")
    assert raised.value.http_status == 500


INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
)


@dataclass(frozen=True)
class Framed:
    """A response that says that the campaign is stopped."""

    said: bytes
    ends_by_closing: bool = False


@st.composite
def framed(draw: st.DrawFn) -> Framed:
    """Return a response in one of the ways in which HTTP/1.1 can frame it, interim ones before it."""
    how = draw(st.sampled_from(["length", "chunks", "closing"]))
    is_packed = how != "closing" and draw(st.booleans())
    body = gzip.compress(STOPPED) if is_packed else STOPPED
    head = b"".join(draw(st.lists(st.sampled_from(INTERIM), max_size=3))) + b"HTTP/1.1 200 OK\r\n"
    head += b"Content-Encoding: gzip\r\n" if is_packed else b""
    if how == "length":
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    elif how == "chunks":
        size = draw(st.integers(1, len(body)))
        chunks = [body[index : index + size] for index in range(0, len(body), size)]
        size_line = draw(st.sampled_from([b"%x\r\n", b"%04x\r\n"]))
        body = b"".join(size_line % len(chunk) + chunk + b"\r\n" for chunk in [*chunks, b""])
        head += b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        head += b"\r\n"
    return Framed(head + body, how == "closing")


def split(said: bytes, at: list[int]) -> list[bytes]:
    """Return bytes in the pieces that begin at some places."""
    places = [0, *sorted(place % (len(said) + 1) for place in at), len(said)]
    return [said[start:end] for start, end in pairwise(places)]


surplus = st.just(b"") | st.just(WHOLE) | st.sampled_from(INTERIM) | st.binary(max_size=30)
left_open = st.sampled_from([True, *[False] * 19])
places = st.lists(st.integers(0, 10_000), max_size=4)
IN_CHUNKS = Framed(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%04x\r\n%s\r\n0000\r\n\r\n" % (len(STOPPED), STOPPED)
)


@example(response=IN_CHUNKS, cut=-7, after=b"", at=[], leaves_open=False)  # within the last chunk's size
@example(response=IN_CHUNKS, cut=-2, after=b"", at=[], leaves_open=False)
@examples(full=260, brief=40, exhaustive=800)
@given(response=framed(), cut=st.none() | st.integers(0, 10_000), after=surplus, at=places, leaves_open=left_open)
def test_a_response_counts_if_it_is_whole_and_only_then(
    platform: Platform, response: Framed, cut: int | None, after: bytes, at: list[int], leaves_open: bool
) -> None:
    said = response.said if cut is None else response.said[: cut % len(response.said)]
    after = b"" if cut is not None or response.ends_by_closing else after
    platform.script = Script(split(said + after, at), WHOLE, leaves_open)
    if cut is None and not (response.ends_by_closing and leaves_open):
        assert platform.stop("a").status == "Stopped"
    else:
        with pytest.raises(CampaignUnavailableError) as raised:
            platform.stop("a", PATIENCE if leaves_open else AMPLE)
        # A machine that is busy may need more than so little time to connect.
        assert leaves_open or (raised.value.outcome_unknown and "time-out" not in str(raised.value))
    check_that_the_next_stop_gets_its_own_response(platform)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a response with some bytes replaced."""
    said = draw(framed()).said
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(said)))
        said = said[:place] + draw(st.binary(max_size=4)) + said[place + draw(st.integers(0, 4)) :]
    return said


@examples(full=200, brief=40, exhaustive=600)
@given(said=st.binary(max_size=100) | damaged(), at=places, leaves_open=left_open)
def test_any_bytes_are_a_response_or_an_error_of_ours(
    platform: Platform, said: bytes, at: list[int], leaves_open: bool
) -> None:
    platform.script = Script(split(said, at), WHOLE, leaves_open)
    problem = ""
    try:
        assert platform.stop("a", PATIENCE if leaves_open else AMPLE).id == "a"
    except CampaignError as error:
        problem = str(error)
    assert problem.isprintable()
    assert leaves_open or "time-out" not in problem
    check_that_the_next_stop_gets_its_own_response(platform)


FAR = Transport("https://platform.test")
"""The way to a host that only a proxy leads to."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[list[bytes]]:
    """What a proxy says to every CONNECT before it closes the connection."""
    said: list[bytes] = []
    with (
        RawServer(lambda connection: connection.sendall(said[0])) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("https_proxy", server.url)
        patch.delenv("no_proxy", raising=False)
        patch.delenv("NO_PROXY", raising=False)
        yield said


@examples(full=100, brief=20, exhaustive=150)
@given(said=st.binary(max_size=60) | damaged())
def test_whatever_a_proxy_says_nothing_was_sent(proxy: list[bytes], said: bytes) -> None:
    proxy[:] = [said]
    with pytest.raises(NotSent, match="by way of the proxy"):
        FAR.send_request(HttpRequest("POST", "/stop"), dict, AMPLE)
