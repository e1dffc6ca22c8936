"""Whatever bytes come back: the response to the request that was sent, or an outcome that the client knows."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_campaign.client.transport import NotSent, OutcomeUnknown, Transport
from airflow_provider_campaign.platforms.base import HttpRequest, HttpResponse
from tests.profiles import examples
from tests.servers import RawServer

PATIENCE = 0.1  # seconds that a request may take to a server that leaves the connection open, and may say more
AMPLE = 60.0  # seconds that no other request takes, however busy the machine is

STOPPED = b'{"status": "Stopped", "message": "Campaign Stopped", "updatedAt": "2026-03-02T18:00:00Z"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(STOPPED), STOPPED)
BROKEN_DOWN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
)


def send(url: str, path: str, seconds: float = AMPLE) -> HttpResponse:
    return Transport(url).send_request(HttpRequest("POST", path), dict, seconds)


class Platform(RawServer):
    """A server that says pieces of bytes to a stop, and fails the request after it, late words to the stop before."""

    def __init__(self) -> None:
        super().__init__(self._say, keeps_open=True)
        self.pieces: list[bytes] = []
        self.leaves_open = False
        self._used: set[socket.socket] = set()

    def stop(self, *, is_whole: bool = False) -> bytes | None:
        """Send one stop, and return the body of its response, None for an unknown outcome; send another request."""
        is_brief = self.leaves_open and not is_whole
        try:
            return send(self.url, "/stop", PATIENCE if is_brief else AMPLE).body
        except (OutcomeUnknown, NotSent) as error:
            # A machine that is busy may need more than so little time to connect.
            if not is_brief and (isinstance(error, NotSent) or "time-out" in str(error)):
                raise
            return None
        finally:
            assert send(self.url, "/next").status == 500, "it gets its own response"

    def _say(self, connection: socket.socket) -> None:
        if connection in self._used:
            connection.sendall(WHOLE)
        self._used.add(connection)
        if b"/next" in self.requests[-1]:
            connection.sendall(BROKEN_DOWN)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in self.pieces:
            connection.sendall(piece)
        if not self.leaves_open:
            connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform() as platform:
        yield platform


@st.composite
def framed(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Return a response in one of HTTP/1.1's ways, interim ones before it, and whether it ends by closing."""
    how = draw(st.sampled_from(["length", "chunks", "closing"]))
    head = b"".join(draw(st.lists(st.sampled_from(INTERIM), max_size=3))) + b"HTTP/1.1 200 OK\r\n"
    if how == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(STOPPED) + STOPPED, False
    if how == "closing":
        return head + b"\r\n" + STOPPED, True
    size, line = draw(st.integers(1, len(STOPPED))), draw(st.sampled_from([b"%x\r\n", b"%04x\r\n"]))
    chunks = [STOPPED[index : index + size] for index in range(0, len(STOPPED), size)]
    body = b"".join(line % len(chunk) + chunk + b"\r\n" for chunk in [*chunks, b""])
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body, False


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    said, _ = draw(framed())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(said)))
        said = said[:place] + draw(st.binary(max_size=4)) + said[place + draw(st.integers(0, 4)) :]
    return said


def split(said: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(said) + 1) for place in at), len(said)]
    return [said[start:end] for start, end in pairwise(places)]


surplus = st.just(b"") | st.just(WHOLE) | st.sampled_from(INTERIM) | st.binary(max_size=30)
left_open = st.sampled_from([True, *[False] * 19])
places = st.lists(st.integers(0, 10_000), max_size=4)
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%04x\r\n%s\r\n0000\r\n\r\n" % (len(STOPPED), STOPPED)


@example(response=(IN_CHUNKS, False), cut=-7, after=b"", at=[], leaves_open=False)  # within the last chunk's size
@examples(full=260, brief=40, exhaustive=800)
@given(response=framed(), cut=st.none() | st.integers(0, 10_000), after=surplus, at=places, leaves_open=left_open)
def test_a_response_counts_if_it_is_whole_and_only_then(
    platform: Platform, response: Any, cut: int | None, after: bytes, at: list[int], leaves_open: bool
) -> None:
    whole, ends_by_closing = response
    said = whole if cut is None else whole[: cut % len(whole)]
    platform.pieces = split(said if cut is not None or ends_by_closing else said + after, at)
    platform.leaves_open = leaves_open
    is_whole = cut is None and not (ends_by_closing and leaves_open)
    body = platform.stop(is_whole=is_whole)
    if is_whole:
        assert body == STOPPED
    elif cut is None or b"Content-Length" in whole:
        assert body is None
    else:  # a body that ends by closing, or whose next chunk's size broke off
        assert body is None or STOPPED.startswith(body), "it is no JSON, or all of it"


@examples(full=200, brief=40, exhaustive=600)
@given(said=st.binary(max_size=100) | damaged(), at=places, leaves_open=left_open)
def test_any_bytes_are_a_response_or_an_error(
    platform: Platform, said: bytes, at: list[int], leaves_open: bool
) -> None:
    platform.pieces, platform.leaves_open = split(said, at), leaves_open
    platform.stop()


FAR = Transport("https://platform.test")  # which only a proxy leads to


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
