"""What a user would write with apache-airflow-providers-http: stop each campaign, then ask until it is stopped."""

from __future__ import annotations

import time
from datetime import timedelta

import jwt
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, BaseHook

CONN_ID = "kore_http"


def token() -> str:
    """Sign a token with the client app's credentials, which the connection holds."""
    connection = BaseHook.get_connection(CONN_ID)
    now = int(time.time())
    claims = {"sub": "airflow", "appId": connection.login, "iat": now, "exp": now + 3600}
    return jwt.encode(claims, connection.password or "", algorithm="HS256")


for count in (1, 20, 50, 100, 300):
    ids = [f"c-{number}" for number in range(count)]
    with DAG(
        f"peer_{count}",
        user_defined_macros={"token": token},
        default_args={
            "retries": 3,
            "retry_delay": timedelta(seconds=30),
            "http_conn_id": CONN_ID,
            "headers": {"auth": "{{ token() }}", "Content-Type": "application/json"},
        },
    ):
        stop = HttpOperator.partial(task_id="stop", data="{}").expand(
            endpoint=[
                f"/campaign/api/v1/public/{{{{ conn.{CONN_ID}.extra_dejson.iid }}}}/campaign/{campaign_id}"
                "?campaignType=sms&trigger=stop"
                for campaign_id in ids
            ]
        )
        stopped = HttpSensor.partial(
            task_id="stopped",
            method="POST",
            request_params="{}",
            response_check=lambda response: response.json()["data"]["status"] == "Stopped",
            poke_interval=15,
            mode="reschedule",  # so that it holds no slot between two pokes
            timeout=900,
        ).expand(
            endpoint=[
                f"/agentassist/api/v1/public/{{{{ conn.{CONN_ID}.extra_dejson.iid }}}}/campaign/{campaign_id}"
                "/status?view=status"
                for campaign_id in ids
            ]
        )
        stop >> stopped
