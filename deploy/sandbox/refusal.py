"""What the provider says when it does not do as asked."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Refusal:
    """Business refusals travel as HTTP 200; what fails before the business, as 4xx."""

    code: str
    message: str
    status: int = HTTPStatus.OK
