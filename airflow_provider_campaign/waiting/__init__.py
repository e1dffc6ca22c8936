"""
Waiting: for the status of one campaign, and for those of many campaigns of an account at once.

A worker waits for one campaign by :func:`.wait_for_effect`, the triggers wait for many: both poll by an
:class:`.AccountPoller`, which lists live campaigns, and reads directly those that are no longer listed. Read
``pending.py`` first: it says what is waited for, what a poll shows, and when a wait ends.
"""
