"""A real Airflow on loopback for system tests, benchmarks and a person clicking: see :class:`LiveAirflow`."""

from tests.system.live_airflow.live import LiveAirflow

__all__ = ["LiveAirflow"]
