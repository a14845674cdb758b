"""What the page says, in Chinese and in English."""

from datetime import datetime
from typing import Literal

from deploy.sandbox.receipts import CHINA

Language = Literal["zh", "en"]
MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "沙箱手机",
        "lead": "短信和电话都停在这里，不会到真的手机上。",
        "counts": "{phones} 部手机，现存 {messages} 条短信",
        "capped": "，只显示最近收到短信的 {cards} 部",
        "empty": "还没有短信",
        "empty_next": "先报一件事，或在案件里吹一次哨；谁会收到短信，收到什么，马上显示在这里。",
        "empty_adapter": "对接短信接口的人，请把服务地址设为",
        "unnamed": "未登记的号码",
        "total": "共 {n} 条",
        "earlier": "只显示最近 {n} 条",
        "texts_of": "{name}，尾号 {tail}，收到的短信",
        "segments": "{n} 段",
        "segments_title": "按 {n} 条计费",
        "waiting": "待回执",
        "delivered": "已送达",
        "failed": "失败",
        "clock": "（{time}）",
        "now": "刚刚",
        "minutes": "{n} 分钟前",
        "hours": "{n} 小时前",
        "days": "{n} 天前",
        "ringing": "来电响铃中",
        "call_answered": "已接听并确认",
        "call_missed": "未接听",
        "call_hung_up": "已挂断",
        "call_from": "来电 {number}",
        "call_confirm": "1 接听并确认",
        "call_hang_up": "挂断",
        "reply_label": "回复 {name}，尾号 {tail}",
        "reply_hint": "回复短信",
        "reply_send": "发送",
        "reply_sent": "已发出：{text}",
        "reply_failed": "没有发出，请再点一次发送",
        "held": "{n} 部手机有新短信，排到最前",
        "link_live": "实时",
        "link_connecting": "正在连接",
        "link_stale": "已断开，停在 {time}",
        "no_script": "浏览器没有开启脚本，新短信不会自己出现，请刷新页面。",
        "larger": "大字",
        "normal": "标准字号",
        "other_language": "English",
        "whole_page": "打开全部",
    },
    "en": {
        "title": "Sandbox phones",
        "lead": "Every text and call stops here. None goes out to a real phone.",
        "counts": "Phones: {phones}. Texts kept: {messages}",
        "capped": ". Shown are the {cards} last written to",
        "empty": "No texts yet",
        "empty_next": "Report a matter, or blow the whistle in a case: who would be written to, "
        "and what, shows here at once.",
        "empty_adapter": "To connect an SMS adapter, point its endpoint to",
        "unnamed": "Unregistered number",
        "total": "{n} in all",
        "earlier": "the last {n} are shown",
        "texts_of": "Texts to {name}, number ending {tail}",
        "segments": "{n} seg.",
        "segments_title": "charged as {n} texts",
        "waiting": "No receipt yet",
        "delivered": "Delivered",
        "failed": "Failed",
        "clock": " ({time})",
        "now": "just now",
        "minutes": "{n} min ago",
        "hours": "{n} h ago",
        "days": "{n} d ago",
        "ringing": "Ringing",
        "call_answered": "Answered and confirmed",
        "call_missed": "Not answered",
        "call_hung_up": "Hung up",
        "call_from": "Call from {number}",
        "call_confirm": "1 Answer and confirm",
        "call_hang_up": "Hang up",
        "reply_label": "Reply from {name}, number ending {tail}",
        "reply_hint": "Reply",
        "reply_send": "Send",
        "reply_sent": "Sent: {text}",
        "reply_failed": "Not sent: press Send again",
        "held": "New texts ({n}): bring up",
        "link_live": "Live",
        "link_connecting": "Connecting",
        "link_stale": "Cut off, as of {time}",
        "no_script": "Scripts are off in this browser: reload the page to see new texts.",
        "larger": "Large type",
        "normal": "Normal type",
        "other_language": "中文",
        "whole_page": "Open all",
    },
}


def ago(at: datetime, now: datetime, words: dict[str, str]) -> str:
    """The greatest unit alone: a reader wants the order of magnitude; the exact time is beside."""
    seconds = max(0, int((now - at).total_seconds()))
    if seconds < MINUTE_S:
        return words["now"]
    for unit_s, until_s, name in (
        (MINUTE_S, HOUR_S, "minutes"),
        (HOUR_S, DAY_S, "hours"),
    ):
        if seconds < until_s:
            return words[name].format(n=seconds // unit_s)
    return words["days"].format(n=seconds // DAY_S)


def clock_time(at: datetime) -> str:
    """Month and day always: a page that stays open must not say `today` tomorrow."""
    return at.astimezone(CHINA).strftime("%m-%d %H:%M")


def exact_time(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat(sep=" ", timespec="seconds")
