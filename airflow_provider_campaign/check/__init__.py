"""
Compare a live account with the documented API: read, point by point, and stop a campaign only if allowed. The report
contains nothing that is the account's own. Read ``contract.py`` first.
"""
