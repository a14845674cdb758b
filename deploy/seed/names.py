"""Names of people: common ones by generation and sex, and rare ones that software trips over."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from deploy.seed.numbers import MALE

_COMMON = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_SCARCE = ("欧阳", "上官", "诸葛", "司徒", "仉", "亓", "逄", "禚")
_SURNAMES: tuple[str, ...] = (*_COMMON, *_SCARCE)
_WEIGHTS = tuple(accumulate([1 / (3 + n) for n in range(len(_COMMON))] + [0.003] * len(_SCARCE)))

# Born before 1960, before 1985, and since: first characters, second characters, single characters.
_ERAS = (1960, 1985)
_GIVEN: dict[str, tuple[tuple[str, str, str], ...]] = {
    "male": (
        ("德福贵长永有世兆守传", "山林财顺发田海臣义才", "福贵根柱"),
        ("建文海新春立树学金保", "军民华东明伟波峰忠林", "军勇伟涛斌峰"),
        ("子浩宇俊梓一嘉博铭亦", "轩然涵泽宁睿阳辰骁恒", "睿轩博朗"),
    ),
    "female": (
        ("秀桂玉凤淑素兰翠月喜", "英兰珍芳花荣梅芝莲娥", "英兰珍梅"),
        ("丽海春红秀艳小爱冬彩", "娟霞玲燕琴红梅敏芬云", "娟霞玲燕敏"),
        ("梓雨欣诗佳子可思语若", "涵萱彤怡琪妍瑶桐宁汐", "萱彤妍汐"),
    ),
}
_SINGLE = 0.15
# A character beyond the basic plane, characters few fonts have, and names with a dot between.
_RARE = {
    "male": ("𠮷祥", "龑", "䶮", "阿力木·吐尔逊", "巴特尔·达来", "艾尔肯·玉山江"),
    "female": ("𠮷香", "㛃", "嫚淼", "阿依努尔·帕尔哈提", "其木格·那顺", "热娜·木合塔尔"),
}
_DOT = "·"
_RARE_ONE_IN = 150


class Names:
    """Draws names. Every so often one is rare, and among the first of them each kind occurs."""

    def __init__(self, rng: Random, first_rare: Sequence[int]) -> None:
        self._rng = rng
        self._first_rare = frozenset(first_rare)
        self._drawn = 0
        self._rare = 0

    def surname(self) -> str:
        return self._rng.choices(_SURNAMES, cum_weights=_WEIGHTS)[0]

    def given(self, sex: str, year: int) -> str:
        era = sum(year >= start for start in _ERAS)
        first, second, single = _GIVEN[_words(sex)][era]
        if self._rng.random() < _SINGLE:
            return self._rng.choice(single)
        return self._rng.choice(first) + self._rng.choice(second)

    def full(self, sex: str, year: int) -> str:
        """Draw the name of somebody whose surname nobody else bears because of it."""
        self._drawn += 1
        if self._drawn in self._first_rare or self._rng.random() * _RARE_ONE_IN < 1:
            return self._rarity(sex)
        return self.surname() + self.given(sex, year)

    def _rarity(self, sex: str) -> str:
        choice = _RARE[_words(sex)]
        # Steps of three: the first is beyond the basic plane, the second has a dot.
        name = choice[3 * self._rare % len(choice) + self._rare // 2 % 3]
        self._rare += 1
        return name if _DOT in name else self.surname() + name


def _words(sex: str) -> str:
    return "male" if sex == MALE else "female"
