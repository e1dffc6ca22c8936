"""The end of the window: the sweep against mapped HttpOperator >> mapped HttpSensor, on a live Airflow.

Run it with ``python -m benchmarks.shutdown``; it takes about a quarter of an hour, on a machine with nothing
else to do. It writes ``results/shutdown.json``, the table in ``docs/benchmarks.md`` and the plot beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import matplotlib as mpl

from airflow_provider_campaign.sandbox import Sandbox
from benchmarks.common.measuring import LATENCY, Measurement, live_airflow, measure
from benchmarks.common.reporting import ROOT, load, publish, save, table

mpl.use("agg")

from matplotlib import pyplot as plt

SWEEP, PEER = "StopActiveCampaignsOperator", "HttpOperator >> HttpSensor"
COUNTS = (20, 50, 100, 300)
MAX_PEER_COUNT = 100
"""The most campaigns that the other side is run with: from there on its runs fail."""
STOPPED_BEFORE = 10_000
PLOT = ROOT / "docs" / "images" / "shutdown.png"
COLOURS = {SWEEP: "#1f6f8b", PEER: "#d98e32"}


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    help_counts = "live campaigns; fewer than all are printed only"
    parser.add_argument("--counts", type=int, nargs="*", choices=COUNTS, default=COUNTS, help=help_counts)
    parser.add_argument("--keep-peer", action="store_true", help="take the other side's figures from an earlier run")
    parser.add_argument("--python", default=sys.executable, help="the Python that Airflow is installed in")
    arguments = parser.parse_args()
    found: list[Measurement] = []
    kept = {m.campaigns: m for m in load("shutdown") if m.who == PEER} if arguments.keep_peer else {}
    with Sandbox(latency=LATENCY) as sandbox, live_airflow(sandbox, arguments.python) as airflow:
        for count in arguments.counts:
            found.append(measure(airflow, sandbox, SWEEP, "sweep", count))
            print(found[-1], flush=True)
            if count <= MAX_PEER_COUNT:
                found.append(kept.get(count) or measure(airflow, sandbox, PEER, f"peer_{count}", count))
                print(found[-1], flush=True)
        crowded = f"{SWEEP}, and {STOPPED_BEFORE:,} stopped ones"
        found.append(measure(airflow, sandbox, crowded, "sweep", 50, STOPPED_BEFORE))
    if set(arguments.counts) != set(COUNTS):
        print(as_table(found))  # the pages show all of them, of one run
        return
    save("shutdown", found)
    publish("shutdown", as_table(found))
    publish("saved", as_summary({(each.who, each.campaigns): each for each in found}))
    plot([measurement for measurement in found if measurement.who in COLOURS])


def as_summary(found: Mapping[tuple[str, int], Measurement]) -> str:
    """Return the five rows of the README."""
    head = ["Live campaigns at the end of the window", "this provider", "`HttpOperator >> HttpSensor`"]
    few, many = ([found[who, count] for who in (SWEEP, PEER)] for count in (50, 100))
    return table(
        head,
        [
            ("50: the last one is stopped after", *(f"{each.last_stopped:.1f} s" for each in few)),
            ("50: the run has finished after", *(f"{each.seconds:.1f} s" for each in few)),
            ("50: responses with 429", *(each.refused for each in few)),
            ("100, more than a minute's requests", *(f"{each.state}, {each.refused} x 429" for each in many)),
            ("300", f"{found[SWEEP, 300].state} after {found[SWEEP, 300].seconds:.0f} s", "not tried"),
        ],
    )


def as_table(found: Sequence[Measurement]) -> str:
    """Return the table of the page."""
    columns = {
        "": [m.who for m in found],
        "live campaigns": [m.campaigns for m in found],
        "run": [m.state for m in found],
        "last one stopped (s)": [m.last_stopped for m in found],
        "run ends (s)": [m.seconds for m in found],
        "requests accepted": [m.accepted for m in found],
        "refused (429)": [m.refused for m in found],
        "load": [m.load for m in found],
    }
    return table(list(columns), zip(*columns.values(), strict=True))


def plot(found: Sequence[Measurement]) -> None:
    """Draw, for each side, how long a run takes and what it asks of the platform."""
    figure, (times, requests) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    counts = sorted({measurement.campaigns for measurement in found})
    for who, shift in ((SWEEP, -0.2), (PEER, 0.2)):
        own = [measurement for measurement in found if measurement.who == who]
        places = [counts.index(measurement.campaigns) + shift for measurement in own]
        bars = times.bar(places, [m.seconds for m in own], 0.38, label=who, color=COLOURS[who])
        labels = [f"{m.seconds:.0f} s" if m.state == "success" else f"{m.state}\n{m.seconds:.0f} s" for m in own]
        times.bar_label(bars, labels, fontsize=8)
        accepted = [m.accepted for m in own]
        requests.bar(places, accepted, 0.38, label=who, color=COLOURS[who])
        refused = requests.bar(
            places, [m.refused for m in own], 0.38, bottom=accepted, color=COLOURS[who], alpha=0.4, hatch="//"
        )
        labels = [f"{m.accepted}" + (f"\n+ {m.refused} refused" if m.refused else "") for m in own]
        requests.bar_label(refused, labels, fontsize=8)
    for axes, title in ((times, "Seconds until the run ends"), (requests, "Requests to the platform")):
        axes.set_xticks(range(len(counts)), [str(count) for count in counts])
        axes.set_xlabel("live campaigns")
        axes.set_title(title)
        axes.set_ylim(top=1.15 * axes.get_ylim()[1])
        axes.spines[["top", "right"]].set_visible(False)
    times.legend(frameon=False)
    figure.savefig(PLOT, dpi=120)


if __name__ == "__main__":
    main()
