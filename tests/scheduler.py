"""Which tests run in the same worker of ``--dist=loadgroup``: those that share what takes seconds to make."""

from __future__ import annotations

from typing import Any

import pytest

GROUPS = {
    "tests/integration/operators/test_airflow_runs.py": "airflow",
    "tests/integration/cli/test_command_line.py::test_airflow_has_the_same_commands": "airflow",
    "tests/integration/docs/test_example_dags.py": "airflow",
    "tests/integration/docs/test_demo.py::test_a_campaign_of_ones_own": "airflow",
    "tests/integration/test_packaging.py": "packaging",
    "tests/integration/records/test_closings.py": "closings",
    "tests/integration/hooks/test_provider_commands.py": "airflow",
    "tests/integration/operators/test_termination.py": "termination",
    "tests/system/local": "local",
    "tests/system/": "celery",
}
"""
The group of the tests whose ids begin so; all others are spread one by one.

The mark ``xdist_group`` would say it where the test is, but xdist 3.8 does not see it under pytest 9.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # the tests also run without it

    class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return next((group for prefix, group in GROUPS.items() if nodeid.startswith(prefix)), nodeid)

    return GroupScheduling(config, log)
