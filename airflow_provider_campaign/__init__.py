"""Apache Airflow provider that stops outreach campaigns and proves that they are stopped."""

__version__ = "1.0.0"
