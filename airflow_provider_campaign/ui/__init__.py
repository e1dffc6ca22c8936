"""The Campaign shutdowns page in Airflow's UI: static files, which ask Airflow's REST API as the logged-in user."""
