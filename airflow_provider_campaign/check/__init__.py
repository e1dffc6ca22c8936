"""
Comparing a live account with the documented API. It reads, point by point, and stops only what it is told to; what it
has seen can be saved without anything that is the account's own. Read ``contract.py`` first.
"""
