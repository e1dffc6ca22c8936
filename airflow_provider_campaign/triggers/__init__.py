"""Waits in Airflow's triggerer, where all of an account share one poll. Read ``base.py`` first, then ``wait.py``."""
