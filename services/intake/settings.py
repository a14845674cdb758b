"""Settings of intake, from the environment, such as `INTAKE_PORT`."""

from ipaddress import ip_network
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True)

    consume_wait_ms: int = Field(200, ge=1, le=1_000)  # who follows a report looks later
    body_bytes_max: int = Field(256 * 1024, ge=1_024, le=900_000)
    in_flight_max: int = Field(256, ge=1)
    refusal_hold_s: float = Field(1, ge=0, le=5)  # a 429 is given no sooner
    accept_deadline_s: float = Field(4, gt=0, lt=5)
    asking_max: int = Field(16, ge=1)  # how many wait while the broker stands still
    body_deadline_s: float = Field(10, gt=0)
    batch_lines_max: int = Field(1_000, ge=1)
    batch_bytes_max: int = Field(4 * 1024 * 1024, ge=1_024)
    batches_max: int = Field(4, ge=1)  # at once: each is held in memory whole
    track_per_minute: float = Field(60, gt=0)  # looks of one address
    track_burst: int = Field(30, ge=1)
    track_wrong_cost: int = Field(10, ge=1)  # looks that a wrong code costs
    track_addresses_max: int = Field(50_000, ge=1)
    trusted_proxies: str = ""  # networks, with commas, whose X-Forwarded-For is believed

    attachment_url: str = Field(
        "file:///var/lib/chuishao/attachments", pattern=r"^(file:///.+|s3://[^/]+(/.*)?)$"
    )
    attachment_s3_file: Path | None = None  # JSON: endpoint, region, keys
    attachment_bytes_max: int = Field(10 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    attachment_pixels_max: int = Field(51_000_000, ge=1_000_000, le=100_000_000)
    attachments_at_once_max: int = Field(16, ge=1)  # beyond: 429
    attachment_redraws_max: int = Field(2, ge=1)  # processes at a time, some 300 MB each at most
    attachment_body_deadline_s: float = Field(60, gt=0)
    attachment_redraw_deadline_s: float = Field(60, gt=0)
    attachment_store_deadline_s: float = Field(10, gt=0)
    attachment_unnamed_bytes_max: int = Field(2 * 1024**3, ge=1024**2)  # of a front end in a town
    attachment_unnamed_days: int = Field(30, ge=1, le=3_650)  # as long as a report may wait

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str) -> str:
        for one in filter(None, text.split(",")):
            ip_network(one)
        return text
