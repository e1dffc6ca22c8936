"""Authentication at Kore: the token in the ``auth`` header, the application and account in the others."""

from __future__ import annotations

from typing import Any

import jwt

from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.responses import ApiError
from airflow_provider_campaign.sandbox.routing import RouteMatch

SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
KEY_ALGORITHMS = ("RS256", "ES256")
CLOCK_SKEW = 60.0


class TokenError(Exception):
    """A token that Kore does not accept, and why."""


def verify_token(token: str | None, config: SandboxConfig, now: float) -> dict[str, Any]:
    """
    Return the claims of a valid token.

    :param token: The ``auth`` header, None if it is missing.
    :param now: Seconds since the epoch.
    :raises TokenError: When the token is missing, signed with another key, or expired.
    """
    if not token:
        raise TokenError("the auth header is missing")
    try:
        algorithm = jwt.get_unverified_header(token).get("alg")
        claims = jwt.decode(
            token,
            _key(algorithm, config),
            algorithms=[str(algorithm)],
            options={"verify_aud": False, "verify_iat": False, "verify_exp": False},
        )
    except jwt.PyJWTError as error:
        raise TokenError(f"the token is invalid: {error}") from error
    _check_claims(claims, config, now)
    return claims


def _key(algorithm: object, config: SandboxConfig) -> str:
    if algorithm in SECRET_ALGORITHMS:
        return config.client_secret
    if algorithm in KEY_ALGORITHMS and config.public_key is not None:
        return config.public_key
    raise TokenError(f"the app does not accept tokens signed with {algorithm}")


def _check_claims(claims: dict[str, Any], config: SandboxConfig, now: float) -> None:
    if claims.get("appId") != config.client_id:
        raise TokenError("the token's appId is not a client app of this account")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenError("the token has no sub")
    issued = claims.get("iat", 0)
    if not isinstance(issued, (int, float)) or issued > now + CLOCK_SKEW:
        raise TokenError("the token's iat lies in the future")
    expires = claims.get("exp", now)
    if not isinstance(expires, (int, float)) or expires < now:
        raise TokenError("the token is invalid: it has expired")


def check_jti(claims: dict[str, Any], seen: set[str]) -> None:
    """
    Require a ``jti`` that was never used before, and remember it.

    :raises TokenError: When it is missing, or was used before.
    """
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise TokenError("the app enforces JTI, and the token has no jti")
    if jti in seen:
        raise TokenError("the token's jti was used before")
    seen.add(jti)


def check_scope(match: RouteMatch, headers: dict[str, str], config: SandboxConfig) -> None:
    """
    Check that a request names this application and this account, everywhere it has to.

    :param headers: Keys in lower case.
    :raises ApiError: 403 if it does not.
    """
    if headers.get("iid") != config.iid or match.parameters["iid"] != config.iid:
        raise ApiError(403, "The iid header and the path must name the application", "FORBIDDEN_APP")
    if headers.get("accountid") != config.account_id:
        raise ApiError(403, "The accountId header does not match the account", "FORBIDDEN_ACCOUNT")
    # The documented URL of the schedule endpoint is the only one of v2 without the parameter.
    needs_query = match.platform == "kore-v2" and match.action != "schedule"
    if needs_query and match.query.get("accountId") != config.account_id:
        raise ApiError(403, "The accountId parameter does not match the account", "FORBIDDEN_ACCOUNT")
