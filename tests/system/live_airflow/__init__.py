"""A real Airflow on loopback for system tests, benchmarks and a person clicking: see :class:`LiveAirflow`."""

from importlib.metadata import version

from packaging.version import Version

from tests.system.live_airflow.live import LiveAirflow

VERSION = Version(version("apache-airflow"))

__all__ = ["VERSION", "LiveAirflow"]
