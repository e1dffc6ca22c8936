"""Run the sandbox from a terminal: ``python -m airflow_provider_campaign.sandbox``."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import get_args

from airflow_provider_campaign.sandbox import Sandbox, SandboxConfig
from airflow_provider_campaign.sandbox.config import StopWhenStopped


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    Parse the command line.

    :param arguments: Those after the module's name; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_campaign.sandbox",
        description="A local stand-in for Kore.ai and Sonarly, reachable from this machine only.",
    )
    parser.add_argument("--port", type=int, default=8765, help="TCP port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--campaigns", type=int, default=6, help="number of campaigns at the start, and after a reset")
    parser.add_argument("--stop-delay", type=float, default=0.0, help="seconds from a stop to Stopped")
    parser.add_argument("--start-delay", type=float, default=0.0, help="seconds from a start to Active")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every response")
    parser.add_argument("--rate-limit", type=int, default=60, help="Kore requests in a window; 0 for no limit")
    parser.add_argument("--rate-window", type=float, default=60.0, help="seconds in the window")
    parser.add_argument("--retry-after", action="store_true", help="send Retry-After with a 429")
    parser.add_argument("--require-jti", action="store_true", help="require a fresh jti in every Kore token")
    parser.add_argument(
        "--stop-when-stopped",
        choices=get_args(StopWhenStopped),
        default="conflict",
        help="Kore's response to a stop of a stopped campaign",
    )
    parser.add_argument("--ignore-sort", action="store_true", help="let Kore's list ignore sortBy")
    parser.add_argument("--ignore-filters", action="store_true", help="let Kore's list ignore filters")
    parser.add_argument("--clock-offset", type=float, default=0.0, help="seconds that the platform's clock is ahead")
    parser.add_argument("--start-status-word", help="the status in Sonarly's response to a start")
    parser.add_argument("--stop-status-word", help="the status in Sonarly's response to a stop")
    parser.add_argument("--public-key", type=Path, help="PEM file that verifies RS256 and ES256 tokens")
    return parser.parse_args(arguments)


def build_config(options: argparse.Namespace) -> SandboxConfig:
    """Return the settings of the command line."""
    return SandboxConfig(
        port=options.port,
        campaigns=options.campaigns,
        stop_delay=options.stop_delay,
        start_delay=options.start_delay,
        latency=options.latency,
        rate_limit=options.rate_limit or None,
        rate_window=options.rate_window,
        retry_after_header=options.retry_after,
        require_jti=options.require_jti,
        stop_when_stopped=options.stop_when_stopped,
        ignore_sort=options.ignore_sort,
        ignore_filters=options.ignore_filters,
        clock_offset=options.clock_offset,
        start_status_word=options.start_status_word,
        stop_status_word=options.stop_status_word,
        public_key=options.public_key.read_text() if options.public_key else None,
    )


def print_banner(sandbox: Sandbox) -> None:
    """Print the sandbox's address and Airflow connections to it."""
    print(f"Campaign sandbox at {sandbox.url} (a status page in the browser; Ctrl-C ends it)")
    for conn_id, connection in sandbox.connections().items():
        print(f"\nexport AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(json.dumps(connection))}")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run until Ctrl-C or SIGTERM; return the exit code.

    :param arguments: Those after the module's name; None for the process's own.
    """
    options = parse_arguments(arguments)
    stop_requested = threading.Event()

    def request_stop(signal_number: int, frame: FrameType | None) -> None:
        stop_requested.set()

    signal.signal(signal.SIGINT, request_stop)
    signal.signal(signal.SIGTERM, request_stop)
    try:
        with Sandbox(build_config(options)) as sandbox:
            print_banner(sandbox)
            stop_requested.wait()
    except OSError as error:
        print(f"The sandbox cannot run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
