"""What nobody foresaw about one campaign stops no other: it is that campaign's failure, its traceback is logged."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from tests.fragile import fragile, unforeseen_id
from tests.integration.sweep.runs import Dag, add, ids, live
from tests.kinds import Connect


@pytest.mark.parametrize(
    ("odd_in", "is_stoppable", "fails"),
    [
        (("stop",), False, True),
        (("stop",), True, False),  # that it was carried out is seen in the list
        (("status", "stop"), False, True),
        (("list",), True, True),
    ],
    ids=str,
)
def test_a_key_error_about_one_campaign_leaves_the_others_stopped(
    sandbox: Sandbox,
    connect: Connect,
    dag: Dag,
    caplog: pytest.LogCaptureFixture,
    odd_in: tuple[str, ...],
    is_stoppable: bool,
    fails: bool,
) -> None:
    connect(fragile(sandbox.kore_connection("v2")))
    add(sandbox, 29)
    odd = sandbox.add_campaign(unforeseen_id(odd_in), stoppable=is_stoppable)
    outcome = dag.sweep()
    assert live(sandbox) <= {odd.id}
    assert {*ids(29)} <= set(outcome.ids("stopped"))
    assert outcome.is_failed == outcome.names(odd.id) == fails
    assert not outcome.is_final  # another try may go well
    assert not outcome.names("c-12")
    if "list" not in odd_in:
        assert outcome.ids("failed") == ([odd.id] if fails else [])
    assert "Traceback" in caplog.text
    assert "KeyError: 'whenever'" in caplog.text
