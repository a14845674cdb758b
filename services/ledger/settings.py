"""Settings of ledger, from the environment, such as `LEDGER_PORT`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class LedgerSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LEDGER_", frozen=True)

    consume_wait_ms: int = Field(200, ge=1, le=1_000)  # nobody waits for it
    change_set_bytes_max: int = Field(64 * 1024 * 1024, ge=1_024)
    change_set_deadline_s: float = Field(60, gt=0)
