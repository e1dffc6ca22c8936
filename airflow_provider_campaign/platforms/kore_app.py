"""A client app of Kore.ai: its credentials, and the tokens that it signs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt

TOKEN_LIFETIME = 300
"""Seconds that a token is valid for: it is used once, at once, but the platform's clock may be ahead of ours."""


@dataclass(frozen=True)
class KoreApp:
    """
    A client app and how it signs.

    :param client_id: Sent as the claim ``appId``.
    :param iid: The Application ID, sent as the header ``iid``.
    :param account_id: Sent as the header ``accountId``.
    :param key: The Client Secret, or the PEM private key for RS256 and ES256.
    """

    client_id: str
    iid: str
    account_id: str
    algorithm: str
    subject: str
    key: str = field(repr=False)

    def signed_headers(self, now: float) -> Mapping[str, str]:
        """Return the app's headers with a token of their own."""
        return {"auth": self.token(now), "iid": self.iid, "accountId": self.account_id}

    def token(self, now: float) -> str:
        """
        Return a fresh token, with a ``jti`` never used before.

        It has no ``iat``: no document asks for it, and where the platform's clock is behind ours it is in the future.
        """
        claims = {
            "sub": self.subject,
            "appId": self.client_id,
            "jti": str(uuid.uuid4()),
            "exp": int(now) + TOKEN_LIFETIME,
        }
        return jwt.encode(claims, self.key, algorithm=self.algorithm)

    def can_sign(self) -> bool:
        """Tell whether the key is one for the algorithm."""
        try:
            self.token(0)
        except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
            return False
        return True
