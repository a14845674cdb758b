"""The ways in and out: messages to people, front ends, other systems, what is shown to whom."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.parts import (
    ChannelId,
    ClassId,
    CountKind,
    Direction,
    Id,
    Length,
    Many,
    Name,
    Named,
    NoticeId,
    Part,
    RecipientId,
    RoleId,
    Some,
    Text,
    TimeOfDay,
    Unique,
)


class Channel(Part):
    """A way in which messages go out."""

    id: Literal["sms", "wechat", "app", "voice", "screen", "console"]
    zh: Name | None = None
    en: Name | None = None
    max_chars: Annotated[int, Field(ge=1, le=10_000)] | None = None


class QuietHours(Part):
    """When nobody is disturbed, except for cases of some classes. May span midnight."""

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    except_classes: Unique[ClassId] = ()


class Retry(Part):
    """How often one channel is tried, how long between, and which channel comes then."""

    times: Annotated[int, Field(ge=0, le=20)]
    wait: Length
    then: ChannelId | None = None


class NotificationRule(Part):
    """Who is told when something happens. Rules for the same `when` differ in `id`."""

    id: Id | None = None
    when: NoticeId
    to: Some[RecipientId]
    """Roles, `reporter`, `handler`, or `superior`: whoever a rung of the whistle turns to."""
    via: Some[ChannelId]
    """In the order in which they are tried."""


class Notifications(Part):
    """Who is told what, and how."""

    channels: Annotated[Many[Channel], Field(min_length=1)]
    quiet_hours: QuietHours | None = None
    retry: Retry | None = None
    rules: Many[NotificationRule]


class FrontEnd(Named):
    """Where reports come from or answers go to."""

    kind: Literal[
        "mini_program", "window", "grid_app", "hotline", "letter_box", "camera", "big_screen",
        "meeting", "platform", "video_link", "visit",
    ]  # fmt: skip
    direction: Direction = "both"
    audience: Unique[RoleId] = Field((), alias="for")
    can: Many[Name] = ()
    named_in_source: bool = False


class Integration(Named):
    """Another system that facts come from or go to."""

    direction: Direction
    purpose: Text | None = None


class Privacy(Part):
    """What is hidden, and for how long data are kept."""

    mask_in_public: bool = True
    who_sees_watch: Unique[RoleId] = ()
    """Who sees which households are watched."""
    keep: Length | None = None


class ReplayFigure(Named):
    """A figure which the town published, and which a replay must reproduce."""

    value: float
    value_kind: CountKind
    unit: Name | None = None
    period: Text | None = None
