"""What every service needs to start. Defaults reach this machine only."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Settings come from the environment, under the prefix of the service: `ROUTING_PORT`."""

    model_config = SettingsConfigDict(frozen=True)

    mode: Literal["development", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65_535)
    log_json: bool = True

    kafka_bootstrap: str = "localhost:9092"
    replica: int | None = Field(None, ge=0)  # this replica's ordinal: a fixed seat in its group
    consume_batch_max: int = Field(500, ge=1, le=5_000)
    consume_wait_ms: int = Field(50, ge=1, le=1_000)
    handler_deadline_s: float = Field(30, gt=0)
    outage_wait_s_max: float = Field(30, gt=0)
    reject_window_records: int = Field(1_000, ge=1)
    reject_share_max: float = Field(0.05, gt=0, lt=1)

    postgres_dsn: PostgresDsn = PostgresDsn("postgresql://localhost/chuishao")
    postgres_pool_max: int = Field(8, ge=1, le=100)
    statement_timeout_s: float = Field(15, gt=0)
    relay_rows_max: int = Field(500, ge=1, le=5_000)
    relay_deadline_s: float = Field(10, gt=0, le=12)  # with the sending: below the idle limit

    key_file: Path  # the tenants' keys; no default: a service without keys must not start
    token_key_file: Path  # the public key that bearer tokens are checked with
    shutdown_grace_s: float = Field(20, gt=0)
