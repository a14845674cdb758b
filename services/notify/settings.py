"""Settings of notify, from the environment, such as `NOTIFY_PORT`."""

from pathlib import Path
from typing import Self

from pydantic import Field, HttpUrl, model_validator
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class NotifySettings(ServiceSettings):
    """Without `gateway_url` there is no channel for SMS, and such messages take the next one."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", frozen=True)

    # What a batch could save is less than what knowing late of a report-in costs.
    consume_wait_ms: int = Field(15, ge=1, le=1_000)

    gateway_url: HttpUrl | None = None  # https://dysmsapi.aliyuncs.com, or the sandbox
    gateway_key_id: str | None = None
    gateway_secret_file: Path | None = None
    gateway_sign_name: str | None = Field(None, min_length=2, max_length=12)
    gateway_connect_s: float = Field(3, gt=0)
    gateway_deadline_s: float = Field(10, gt=0)
    # https://dyvmsapi.aliyuncs.com, or the sandbox; with the number that is bought to call from.
    voice_url: HttpUrl | None = None
    voice_show_number: str | None = Field(None, pattern="^[0-9]{5,20}$")
    # Our template's code -> the provider's, where it gave another than ours.
    template_codes: dict[str, str] = Field(default_factory=dict)
    receipts_token_file: Path | None = None
    receipts_bytes_max: int = Field(1024 * 1024, ge=1_024)
    reply_answer_wait_s: float = Field(300, ge=0)  # between two answers to one number

    app_inbox: bool = True  # false: nobody reads it yet, and messages pass over `app`

    send_concurrency: int = Field(100, ge=1, le=1_000)
    send_lease_s: float = Field(30, gt=0)
    send_poll_s: float = Field(0.5, gt=0)
    retry_wait_s_max: float = Field(600, ge=0)
    park_s_max: float = Field(7_200, ge=0)  # a recipient's limit beyond it: the next channel
    lookup_wait_s: float = Field(5, ge=0)
    lost_after_s: float = Field(60, ge=0)  # a send not found by then was never made
    unresolved_after_s: float = Field(3_600, gt=0)  # a send that cannot be looked up for so long
    quiet_hours: bool = True  # false: messages go out at any hour, whatever the profiles say
    message_age_s_max: float = Field(86_400, gt=0)

    @model_validator(mode="after")
    def _gateway_is_whole(self) -> Self:
        account = (self.gateway_key_id, self.gateway_secret_file, self.gateway_sign_name)
        if self.gateway_url and not all((*account, self.receipts_token_file)):
            raise ValueError(
                "with gateway_url give gateway_key_id, gateway_secret_file, gateway_sign_name"
                " and receipts_token_file"
            )
        if self.gateway_deadline_s > self.send_lease_s / 2:
            raise ValueError("gateway_deadline_s must be at most half of send_lease_s")
        return self
