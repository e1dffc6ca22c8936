"""
How thorough tests with random data are: brief by default, in full where ``CAMPAIGN_TESTS`` is ``full``, as in CI.

Where it is ``exhaustive``, there are as many as nobody waits for: CI draws the same ones each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_EXHAUSTIVE = os.environ.get("CAMPAIGN_TESTS") == "exhaustive"
IS_FULL = IS_EXHAUSTIVE or os.environ.get("CAMPAIGN_TESTS") == "full"
BRIEF, FULL = 20, 100  # examples of a test that does not say how many it takes

settings.register_profile(
    "ours",
    max_examples=FULL if IS_FULL else BRIEF,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=bool(os.environ.get("CI")),  # a build that fails is to be about the change
)
settings.load_profile("ours")


def examples(full: int, brief: int = BRIEF, exhaustive: int | None = None) -> settings:
    """Return the settings of a test that takes numbers of examples of its own."""
    if IS_EXHAUSTIVE and exhaustive is not None:
        return settings(max_examples=exhaustive)
    return settings(max_examples=full if IS_FULL else brief)
