"""
Waiting: for the status of one campaign, and for those of many campaigns of an account at once.

Workers and triggers poll by an :class:`.AccountPoller`. Read ``pending.py`` first: it says what is waited for, what a
poll shows, and when a wait ends.
"""
