"""A town's dated division codes: a wrong form is refused, an unknown place is only warned of."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.division import province_known, whole_code
from contracts.registry import Alias, Tenant
from services.ledger.faults import Wrong, both
from services.ledger.store.registry import Entry

_DIGITS = 12


def wrong_aliases(aliases: Sequence[Alias]) -> Iterator[Wrong]:
    """Yield what is wrong with a town's aliases: form, order in time, one code twice at once."""
    for n, alias in enumerate(aliases):
        if len(alias.code) != _DIGITS or whole_code(alias.code) is None:
            zh, en = "应为 12 位区划代码。", "Expected a division code of 12 digits."
            yield f"aliases.{n}.code", both(zh, en)
        if alias.valid_to is not None and alias.valid_to <= alias.valid_from:
            yield (
                f"aliases.{n}.valid_to",
                both("应晚于 valid_from。", "Expected after `valid_from`."),
            )
        if any(_meet(alias, earlier) for earlier in aliases[:n]):
            zh, en = (
                "同一代码的有效期重叠。",
                "The same code is valid twice at once: part the times.",
            )
            yield f"aliases.{n}.valid_from", both(zh, en)


def _meet(one: Alias, other: Alias) -> bool:
    return (
        one.code == other.code
        and (other.valid_to is None or one.valid_from < other.valid_to)
        and (one.valid_to is None or other.valid_from < one.valid_to)
    )


def alias_warnings(entries: Iterable[Entry]) -> list[str]:
    """Name the codes of a set that no list of provinces knows; they are recorded all the same."""
    bodies = [one.body for one in entries if one.kind == "tenant" and one.body]
    codes = [alias.code for body in bodies for alias in Tenant.model_validate(body).aliases]
    zh = "区划代码 {} 不属于已知的省份，请核对。"
    en = "Division code {} is of no known province: check it."
    return [both(zh.format(one), en.format(one)) for one in codes if not province_known(one)]
