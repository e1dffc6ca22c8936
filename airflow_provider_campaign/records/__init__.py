"""
Records: what was done to which campaigns stays, and what was not done shows.

:class:`.RecordStore` writes one JSON object for each try of a task and each command, once and chained to the last, and
:class:`.RecordChain` and :class:`.ExpectedClosings` say what was changed since, and what there is no record of. Read
``record.py`` first: it builds a record, whose shape ``campaign-record-1.schema.json`` defines.
"""
