"""Settings of ledger, from the environment, such as `LEDGER_PORT`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class LedgerSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LEDGER_", frozen=True)

    consume_wait_ms: int = Field(200, ge=1, le=1_000)  # nobody waits for it
    change_set_bytes_max: int = Field(64 * 1024 * 1024, ge=1_024)
    change_set_deadline_s: float = Field(60, gt=0)
    audit_seal_wait_s: float = Field(1, gt=0)  # until it is sealed, a changed act does not show
    audit_seal_rows_max: int = Field(1_000, ge=1, le=10_000)
    audit_anchor_path: Path | None = (
        None  # none: a tail cut off, or all of it rewritten, is not seen
    )
    audit_anchor_wait_s: float = Field(10, ge=0)
    unmask_fields_per_day_max: int = Field(50, ge=0, le=10_000)  # of one person, by the town's day
    search_empty_per_day_max: int = Field(100, ge=0, le=10_000)  # look-ups that found nothing
