"""A private certificate authority, as a company has one, for servers on loopback."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """A certificate authority that nobody trusts unless told to; its file goes into a folder."""

    def __init__(self, folder: Path, name: str = "private") -> None:
        self._authority = trustme.CA()
        self.bundle = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.bundle)

    def server_context(self, address: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(address).configure_cert(context)
        return context
