"""Settings of intake, from the environment, such as `INTAKE_PORT`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True)

    body_bytes_max: int = Field(256 * 1024, ge=1_024, le=900_000)
    in_flight_max: int = Field(256, ge=1)
    accept_deadline_s: float = Field(4, gt=0, lt=5)
    asking_max: int = Field(16, ge=1)  # how many wait while the broker stands still
    body_deadline_s: float = Field(10, gt=0)
    batch_lines_max: int = Field(1_000, ge=1)
    batch_bytes_max: int = Field(4 * 1024 * 1024, ge=1_024)
    batches_max: int = Field(4, ge=1)  # at once: each is held in memory whole
