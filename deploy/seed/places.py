"""Names of places, made up from picture words: likeness to a real village is chance."""

from collections.abc import Iterator
from random import Random

_STEMS = (
    "望禾", "枕溪", "栖云", "青笛", "归雁", "晚渡", "芦笙", "听蛙", "槐荫", "石磨",
    "柳笛", "枣红", "沙燕", "竹筛", "渔火", "荞花", "豆香", "菱歌", "苇白", "杏雨",
    "梨雪", "榆钱", "瓜架", "砚台", "灯草", "陶罐", "水车", "风箱", "谷雨", "霜叶",
    "麦哨", "犁春", "桑葚", "蒲扇", "笸箩", "棉桃", "粟黄", "椿芽", "鹭眠", "蓼红",
    "月牙", "星垂", "露圆", "雨歇", "炊烟", "晒谷", "牧笛", "鹊喜", "燕泥", "蝉声",
    "蓑衣", "秧青", "荷包", "菊黄", "柿红", "橘灯", "茶烟", "酒旗", "鼓楼", "铃铛",
)  # fmt: skip
_ENDINGS = "屯庄洼店坡沟桥铺营堡寨湾"
_DIGITS = "零一二三四五六七八九"
_TEN = 10


def stems(rng: Random) -> Iterator[str]:
    """Yield place names of two characters, then of four, each once."""
    first = rng.sample(_STEMS, len(_STEMS))
    yield from first
    second = rng.sample(first, len(first))
    yield from (one + other for one in first for other in second if one != other)


def hamlets(rng: Random) -> Iterator[str]:
    """Yield names of small villages, each once: neighbours do not share an ending."""
    endings = rng.sample(_ENDINGS, len(_ENDINGS))
    taken = stems(rng)
    for n, stem in enumerate(taken):
        yield stem + endings[n % len(endings)]


def numeral(number: int) -> str:
    """Write 1 to 99 in Chinese, and larger numbers in digits."""
    tens, ones = divmod(number, _TEN)
    if tens >= _TEN:
        return str(number)
    head = "" if not tens else ("十" if tens == 1 else _DIGITS[tens] + "十")
    return head + (_DIGITS[ones] if ones or not tens else "")
