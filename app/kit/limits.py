"""How much, how fast and how slowly strangers may send: settings of the process, each with a default that is safe.

A rate of 0 sets that limit aside. What bounds a single alert (depth, values, texts) is `connectors.strict_json`'s: it has to be
the same in every process and at every replay, so it is no setting.
"""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=3600)]
Rate = Annotated[float, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]


class Limits(BaseSettings):
    """What a stranger may do before it is told to mend its ways, to come later, or is cut off."""

    model_config = SettingsConfigDict(env_prefix="HARMLINE_", extra="ignore", hide_input_in_errors=True)

    connection_rate: Rate = Field(500, description="authentic deliveries a second on one connection; 0: any number")
    connection_burst: Count = Field(2_000, description="how many may come at once")
    address_rate: Rate = Field(1_000, description="deliveries a second from one address (IPv6: one /64); 0: any number")
    address_burst: Count = Field(4_000, description="how many may come at once")
    forged_rate: Rate = Field(20, description="deliveries a second from one address that prove nothing; 0: any number")
    forged_burst: Count = Field(200, description="how many may come at once")
    sign_in_rate: Rate = Field(0.2, description="requests for a sign-in link a second from one address; 0: any number")
    sign_in_burst: Count = Field(20, description="how many may come at once")

    head_seconds: Seconds = Field(10, description="until the head of a request must have come, from the first byte on")
    body_seconds: Seconds = Field(60, description="until a whole body must have come")
    body_rate: Annotated[float, Field(gt=0)] = Field(1024, description="bytes a second that a body must come with, on average")
    largest_url: Count = Field(2 * 1024, description="bytes of a request's address")
    largest_head: Count = Field(16 * 1024, description="bytes of all header fields of a request")
    most_headers: Count = Field(100, description="header fields of a request")
    most_connections: Count = Field(4_000, description="TCP connections of this process; more are answered 503")
    most_requests: Count = Field(256, description="requests of this process in work at once; more are answered 503")
