"""The body of `POST /v1/cases`, and the checks that need no town."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from contracts.crs import CRS
from contracts.facts import Location
from contracts.text import NOT_KEPT, WRITTEN, is_blank
from services.doors.fields import Checked, Moment
from services.intake.place import check_point, given_crs, located

_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})")
_OTHER_PHONE = re.compile(r"\+?[0-9]{5,15}")
# Some mark of a number in any of its forms, and separators anywhere.
_APART = r"[\s()（）\-－–—]*"
_PHONE = {"pattern": rf"^{_APART}([+＋]{_APART})?([0-9０-９]{_APART}){{5,15}}$"}
_CLUES = {"village", "grid", "household_id"}
_AS_TYPED = str.maketrans("０１２３４５６７８９＋－—–（）", "0123456789+---()")


def _kept(text: str) -> str:
    if NOT_KEPT.search(text):
        raise ValueError("不收控制字符，请删去。 Control characters are not kept: remove them.")
    if is_blank(text):
        raise ValueError("不能空白，请填写。 This must not be blank: say something.")
    return text


def _phone(text: str) -> str:
    """Bring a number to one form: mainland mobiles as +86…, others as digits."""
    digits = re.sub(r"[\s()\-]", "", text.translate(_AS_TYPED))
    mobile = _MOBILE.fullmatch(digits)
    if mobile:
        return f"+86{mobile[1]}"
    if _OTHER_PHONE.fullmatch(digits):
        return digits
    raise ValueError("应为电话号码，如 13800000000 或 0546-1234567。 Expected a phone number.")


Kept = Checked(_kept, {"pattern": WRITTEN})
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Reporter(Part):
    """Who reports. All of it is optional, and all of it is sealed."""

    name: Annotated[str, Field(max_length=50), Kept] | None = None
    phone: Annotated[str, Field(max_length=30), Checked(_phone, _PHONE)] | None = None
    openid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    anonymous: StrictBool = False


_NO_POINT: JsonValue = {"properties": {"lat": {"type": "null"}, "lon": {"type": "null"}}}
_POINT: JsonValue = {
    "required": ["lat", "lon", "crs"],
    "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}, "crs": {"type": "string"}},
}


class Place(Part):
    """Where it is: any clue helps. A point says in which system it is given."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_NO_POINT, _POINT]})

    lat: Annotated[Degrees, Field(ge=-90, le=90)] | None = None
    lon: Annotated[Degrees, Field(ge=-180, le=180)] | None = None
    crs: Annotated[CRS | None, BeforeValidator(given_crs), Field(validate_default=True)] = None
    address: Annotated[str, Field(max_length=200), Kept] | None = None
    village: Annotated[str, Field(max_length=64), Kept] | None = None
    grid: Slug | None = None
    household_id: Slug | None = None

    @field_validator("crs")
    @classmethod
    def _point_fits(cls, crs: CRS | None, about: ValidationInfo) -> CRS | None:
        lat, lon = about.data.get("lat"), about.data.get("lon")
        if lat is not None and lon is not None:
            check_point(lon, lat, crs)
        return crs

    @model_validator(mode="after")
    def _point_is_whole(self) -> "Place":
        if (self.lat is None) != (self.lon is None):
            zh, en = (
                "lat 和 lon 须同时给或都不给。",
                "Send both lat and lon, or neither.",
            )
            raise ValueError(f"{zh} {en}")
        return self

    @property
    def told(self) -> Location:
        """What is told of it, without the address: the point in WGS-84, and as it was given."""
        return located(self.lon, self.lat, self.crs, self.model_dump(include=_CLUES))


class Report(Part):
    """One report. `tenant` is the town's id or a division code that is an alias of it."""

    tenant: Slug
    summary: Annotated[str, Field(max_length=200), Kept]
    description: Annotated[str, Field(max_length=10_000), Kept] | None = None
    category: Slug | None = None
    severity: Slug | None = None
    case_class: Annotated[Slug | None, Field(alias="class")] = None
    occurred_at: Moment | None = None
    reporter: Reporter = Reporter()
    location: Place = Place()
    attachments: Annotated[tuple[Slug, ...], Field(max_length=20)] = ()

    @property
    def words(self) -> dict[str, str]:
        """What must be sealed: free text and contacts."""
        said = {
            "summary": self.summary,
            "description": self.description,
            "address": self.location.address,
            "name": self.reporter.name,
            "phone": self.reporter.phone,
            "openid": self.reporter.openid,
        }
        return {name: text for name, text in said.items() if text is not None}

    @property
    def digested(self) -> bytes:
        """What tells two reports under one key apart.

        It is the same for a repeat under another name of the town, or after a release that adds
        a field.
        """
        return self.model_dump_json(exclude={"tenant"}, exclude_defaults=True).encode()


class EmergencyView(BaseModel):
    """Whom to call at once, and which word says so. The report is taken in all the same."""

    call: str
    because: str
    zh: str
    en: str


class Accepted(BaseModel):
    """The answer to an accepted report: keep the tracking code.

    `emergency` is there where the report tells of one: show it at once.
    """

    case_id: str
    tracking_code: str
    received_at: datetime
    emergency: list[EmergencyView] = []
