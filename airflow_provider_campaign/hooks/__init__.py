"""Airflow's connections: a hook reads and checks one, and builds the client of its account. Read ``base.py`` first."""
