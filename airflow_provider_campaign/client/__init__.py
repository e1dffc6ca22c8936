"""
One request path for all platforms: signed, sent within a time limit, classified, and attempted again.

:class:`.CampaignClient` is what others use. Read ``client.py`` first, then ``requester.py``.
"""
