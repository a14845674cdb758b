"""One JSON file and the environment (prefix SANDBOX_), which wins over the file."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from deploy.sandbox.limits import Frequency
from deploy.sandbox.rules import PLACEHOLDER, TEXT_LENGTH_MAX, Catalogue, Template, read_number

PATHS = ("templates_file", "call_templates_file", "names_file", "truth_file")
NAME_LENGTH_MAX = 60

Text = Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX)]
SignName = Annotated[str, Field(min_length=2, max_length=12, pattern=r"^[^\s【】]+$")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Beginning = Annotated[str, Field(pattern=r"^[0-9]{1,11}$")]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TemplateSettings(Part):
    """A template as its reviewers let it pass."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    name: Text
    content: Text
    variables: dict[str, Annotated[int, Field(ge=1, le=TEXT_LENGTH_MAX)]] = {}
    sign_names: frozenset[SignName] | None = None

    @model_validator(mode="after")
    def variables_are_those_of_the_content(self) -> Self:
        used = set(PLACEHOLDER.findall(self.content))
        if used != set(self.variables):
            differing = ", ".join(sorted(used ^ set(self.variables)))
            raise ValueError(f"template {self.code}: content and variables differ in {differing}")
        return self

    def template(self) -> Template:
        return Template(self.code, self.name, self.content, self.variables, self.sign_names)


class LimitSettings(Part):
    """Notices: 50 a day for one number and template, as the provider has it by default."""

    per_minute_max: Count | None = None
    per_hour_max: Count | None = None
    per_day_max: Count | None = 50
    account_per_s_max: Count = 5_000


class ReceiptSettings(Part):
    """How receipts are told to the callback; without a URL they show on the page only."""

    callback_url: HttpUrl | None = None
    calls_url: HttpUrl | None = None
    delay_s: Annotated[float, Field(ge=0, le=3_600)] = 1.0
    batch_max: Annotated[int, Field(ge=1, le=1_000)] = 100
    timeout_s: Seconds = 5.0
    retry_first_s: Seconds = 1.0
    retry_longest_s: Seconds = 60.0
    attempts_max: Count = 10_000
    pending_max: Count = 100_000


class CallSettings(Part):
    """How often one number may be called, as the provider has it, and how long it rings."""

    show_numbers: frozenset[Annotated[str, Field(pattern=r"^[0-9]{5,20}$")]] = frozenset()
    ring_s: Seconds = 30.0
    per_minute_max: Count | None = 1
    per_hour_max: Count | None = 5
    per_day_max: Count | None = 20


class ReplySettings(Part):
    """Where answers on the phones are pushed; without a URL nobody can answer."""

    callback_url: HttpUrl | None = None
    timeout_s: Seconds = 5.0
    retry_first_s: Seconds = 1.0
    retry_longest_s: Seconds = 60.0
    pending_max: Count = 1_000


class PageSettings(Part):
    """What one look at the page may cost, and who may be looked at apart from the others.

    A group's phones are those whose number begins with one of these.
    """

    phones_max: Annotated[int, Field(ge=1, le=2_000)] = 200
    texts_per_phone_max: Annotated[int, Field(ge=1, le=100)] = 10
    streams_max: Annotated[int, Field(ge=1, le=1_000)] = 64
    heartbeat_s: Seconds = 3.0
    groups: dict[str, tuple[Beginning, ...]] = {}
    frame_ancestors: tuple[Annotated[str, Field(pattern=r"^[^\s;,]+$")], ...] = ("'self'",)


class SandboxSettings(BaseSettings):
    """Defaults reach this machine only."""

    model_config = SettingsConfigDict(
        env_prefix="SANDBOX_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8105
    access_keys: Annotated[dict[str, SecretStr], Field(min_length=1, max_length=100)]
    sign_names: Annotated[frozenset[SignName], Field(min_length=1)]
    templates: list[TemplateSettings] = []
    templates_file: Path | None = None
    names_file: Path | None = None
    truth_file: Path | None = None
    limits: LimitSettings = LimitSettings()
    receipts: ReceiptSettings = ReceiptSettings()
    replies: ReplySettings = ReplySettings()
    calls: CallSettings = CallSettings()
    call_templates: list[TemplateSettings] = []
    call_templates_file: Path | None = None
    page: PageSettings = PageSettings()
    messages_max: Count = 50_000
    nonces_max: Count = 200_000
    faults_max: Annotated[int, Field(ge=1, le=1_000)] = 100
    query_bytes_max: Annotated[int, Field(ge=1_024, le=65_536)] = 32_768
    body_bytes_max: Annotated[int, Field(ge=1_024, le=1_048_576)] = 65_536
    stop_grace_s: Seconds = 5.0

    @field_validator("access_keys")
    @classmethod
    def keys_can_stand_in_a_header(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for key in keys:
            if not key.isascii() or not key.isalnum():
                raise ValueError("an access key id consists of letters and digits")
        return keys

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file comes in as arguments, and the environment goes before it."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Paths in the file are meant from where the file lies."""
        values: dict[str, Any] = json.loads(path.read_text("utf-8")) if path else {}
        for name in PATHS:
            if path and isinstance(values.get(name), str):
                values[name] = path.parent / values[name]
        return cls(**values)

    def secrets(self) -> dict[str, str]:
        return {key: secret.get_secret_value() for key, secret in self.access_keys.items()}

    def call_frequency(self) -> Frequency:
        calls = self.calls
        return Frequency(calls.per_minute_max, calls.per_hour_max, calls.per_day_max)

    def frequency(self) -> Frequency:
        limits = self.limits
        return Frequency(limits.per_minute_max, limits.per_hour_max, limits.per_day_max)

    def catalogue(self) -> Catalogue:
        """What is reviewed for texts."""
        return Catalogue(self.sign_names, _templates(self.templates, self.templates_file))

    def call_catalogue(self) -> Catalogue:
        """What is reviewed for calls; a number to call from stands in a signature's place."""
        templates = _templates(self.call_templates, self.call_templates_file)
        return Catalogue(self.calls.show_numbers, templates)

    def names(self) -> dict[str, str]:
        """Whose phone it is, for the page alone: a provider does not know."""
        if self.names_file is None:
            return {}
        label = Annotated[str, Field(max_length=NAME_LENGTH_MAX)]
        names = TypeAdapter(dict[str, label]).validate_json(self.names_file.read_text("utf-8"))
        for number in names:
            if read_number(number) != number:
                raise ValueError("a key of the names file is not an 11-digit mobile number")
        return names


def _templates(given: list[TemplateSettings], file: Path | None) -> dict[str, Template]:
    """Templates of the settings and of a file, each code once."""
    specs = list(given)
    if file:
        specs += TypeAdapter(list[TemplateSettings]).validate_json(file.read_text("utf-8"))
    templates = {spec.code: spec.template() for spec in specs}
    if len(templates) != len(specs):
        raise ValueError("a template code is there twice")
    return templates
