"""
The loop that keeps an account's campaigns inside their calling hours: list, plan, stop, verify, sleep.

Every live campaign has a moment by which it must be stopped. Read :mod:`.loop` first, then :mod:`.plan`.
"""
