"""A name that will go away warns its user, who is told what to write instead."""

from __future__ import annotations

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning

from airflow_provider_campaign.version_compat import warn_deprecated


def test_a_deprecated_name_warns_where_it_is_used_with_what_to_write_instead() -> None:
    def stop_evening() -> None:
        warn_deprecated("stop_evening()", "stop_and_wait()")

    with pytest.warns(AirflowProviderDeprecationWarning, match=r"stop_evening.*Write stop_and_wait\(\)") as warned:
        stop_evening()
    assert warned[0].filename == __file__
    assert warned[0].lineno == stop_evening.__code__.co_firstlineno + 4
