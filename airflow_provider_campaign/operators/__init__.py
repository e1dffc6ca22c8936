"""
Airflow's tasks: arguments in, XCom out, a record of each try. All public operators are in ``campaign.py``.

Read ``base.py`` first, then ``status_change.py`` for single campaigns, and ``sweep.py`` for all of an account.
"""
