"""
What differs between platforms: paths, signatures, and response formats, as plain data without I/O.

Read ``base.py`` first: it is the contract that ``kore.py`` and ``sonarly.py`` fulfill.
"""
