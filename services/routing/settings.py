"""Settings of routing, from the environment, such as `ROUTING_PORT`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ROUTING_", frozen=True)

    timer_batch_max: int = Field(500, ge=1, le=5_000)
    timer_wait_s: float = Field(0.5, gt=0)
    timer_margin_s: float = Field(2, ge=0)  # how far clocks of broker and database may differ
    timer_overdue_alarm_s: float = Field(60, gt=0)
    early_wait_s: float = Field(600, gt=0)  # how long what precedes its report may wait for it
    audit_wait_s: float = Field(60, gt=0)  # how often open cases and slots are counted
    topic_wait_s: float = Field(5, gt=0)  # how often a department's missing topic is looked for
    streams_max: int = Field(200, ge=0)  # departments' streams of this process
    stream_wait_s: float = Field(1, gt=0)
    stream_beat_s: float = Field(15, gt=0)
