"""Apache Airflow provider that stops outreach campaigns and proves that they are stopped."""

__version__ = "2.0.0.dev0"
