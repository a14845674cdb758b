"""Settings of the console, from the environment, such as `CONSOLE_PORT`."""

from pydantic import AnyHttpUrl, Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class ConsoleSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="CONSOLE_", frozen=True)

    sandbox_url: AnyHttpUrl | None = None  # development alone: its phones stand beside the board
    ledger_url: AnyHttpUrl | None = None  # without it there are no pages of the registry
    ledger_wait_s: float = Field(5, gt=0)
    rows_max: int = Field(200, ge=1, le=500)
    streams_max: int = Field(256, ge=1)
    look_wait_s: float = Field(0.5, ge=0.05)
    beat_s: float = Field(3, gt=0, lt=10)
    stale_s: float = Field(10, gt=0)
