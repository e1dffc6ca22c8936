"""
Records: what was done to which campaigns stays, and what was not done shows.

:class:`.RecordStore` writes one JSON object for each try of a task and each command, once, and chained to the last;
:func:`.verify_records` shows what was changed or removed since, by comparing each record with those that followed it.
Read ``record.py`` first: it builds a record, whose shape ``campaign-record-1.schema.json`` defines.
"""
