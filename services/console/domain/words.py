"""Every text of the pages, in Chinese and in English, in the village's words."""

from dataclasses import dataclass
from typing import Literal, overload

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


class Text:
    """A text in both languages. Names in braces are filled in, by the server or the browser."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh, self.en = zh, en

    @overload
    def __get__(self, words: None, owner: type) -> "Text": ...
    @overload
    def __get__(self, words: "Words", owner: type) -> str: ...
    def __get__(self, words: "Words | None", owner: type) -> "Text | str":
        if words is None:
            return self
        return self.zh if words.language == "zh" else self.en


@dataclass(frozen=True)
class Words:
    """The texts in one language."""

    language: Language

    html = Text("zh-CN", "en")
    between = Text("，", ", ")
    listed = Text("、", ", ")
    full_stop = Text("。", ".")

    title = Text("{town} · 看板", "{town} · Board")
    title_late = Text("超时 {n} · {town} 看板", "Overdue {n} · {town} board")
    town_clock = Text("镇上时间", "Town time")
    demo_clock = Text("演示时钟", "Demo clock")
    demo_clock_title = Text(
        "镇上的时间是调过的，只用于演示", "The town's time has been moved, for the demo alone"
    )
    larger = Text("大字", "Large type")
    normal = Text("标准字号", "Normal type")
    other_language = Text("English", "中文")
    phones = Text("沙箱手机", "Sandbox phones")
    phones_open = Text("打开沙箱手机", "Open the sandbox phones")
    skip = Text("跳到在办的事", "Skip to the open cases")
    no_script = Text(
        "浏览器没有开启脚本，看板不会自己更新。",
        "Scripts are off in this browser: the board does not update by itself.",
    )
    reload = Text("刷新", "Reload")
    printed = Text("截至 {time}", "As of {time}")

    # The sentence that a leader reads.
    received_today = Text("今日收 {n} 件", "{n} received today")
    open_now = Text("在办 {n} 件", "{n} open")
    untaken_now = Text("还没人接 {n} 件", "{n} with nobody yet")
    awaited_now = Text("等 {n} 个部门报到", "{n} to report in")
    missed_now = Text("未到 {n} 个部门", "{n} did not come")
    soon_now = Text("快到时限 {n} 件", "{n} due soon")
    late_now = Text("超时 {n} 件", "{n} overdue")
    all_calm = Text("都在时限内", "all within their time")
    calm_as_told = Text("算得出时限的都没超时", "none known to be overdue")
    nothing_open = Text("眼下没有在办的事", "nothing open")
    closed_today = Text("今日办完 {n} 件", "{n} closed today")
    untold_now = Text("按工作时间计 {n} 件", "{n} counted in working time")

    # The list.
    list_title = Text("在办的事", "Open cases")
    number = Text("编号", "Number")
    what = Text("什么事", "What")
    where = Text("在哪里", "Where")
    who = Text("谁在办", "Who has it")
    state = Text("到哪一步", "Stage")
    clock = Text("还有多久", "Time left")
    received = Text("收到", "Received")
    more = Text(
        "还有 {n} 件没有列出，都排在这些之后。", "{n} more are not listed; they come after these."
    )
    nowhere = Text("地点不明", "Place unknown")
    no_grid = Text("网格不明", "grid unknown")
    untaken = Text("还没人接", "nobody yet")
    no_clock = Text("没有时限", "No deadline")
    duty = Text("按工作时间计", "Working time")
    duty_hours = Text("（{n} 个工作小时）", " ({n} working hours)")
    duty_minutes = Text("（{n} 分钟）", " ({n} minutes)")
    gone = Text("已不在此列", "no longer listed")
    held = Text("次序有变，点此排好", "The order has changed: put in order")

    # The whistle.
    whistle = Text("吹哨", "whistle")
    lamps = Text("叫来的部门", "Departments called")
    lead = Text("牵头", "lead")
    lamp_waiting = Text("等待", "waiting")
    lamp_reported = Text("已报到", "reported in")
    lamp_late = Text("迟到", "came late")
    lamp_missed = Text("未到", "did not come")
    lamp_refused = Text("退回", "refused")
    lamp_withdrawn = Text("撤回", "withdrawn")

    # Empty pages.
    empty_done_title = Text("没有人在等", "Nobody is waiting")
    empty_done = Text("有新的事情，马上显示在这里。", "What comes in shows here at once.")
    empty_first_title = Text("还没有收到过事情", "Nothing has come in yet")
    empty_first = Text("想先看一遍，请在终端里运行", "To see it at work, run in a terminal")
    no_towns_title = Text("还没有镇", "No town yet")
    no_towns_text = Text(
        "看板在等第一个镇的资料。想先看一遍，请在终端里运行",
        "The board waits for its first town. To see it at work, run in a terminal",
    )
    towns_title = Text("各镇看板", "Boards of the towns")
    town_counts = Text("在办 {open} 件，超时 {late} 件", "{open} open, {late} overdue")
    no_such_town_title = Text("没有这个镇", "No such town")
    no_such_town_text = Text(
        "地址里的镇查不到。请从各镇看板里选。",
        "The town in the address is not known. Choose one from the list.",
    )
    out_title = Text("暂时看不到看板", "The board cannot be shown just now")
    out_text = Text(
        "看板的数据库没有应答。上报和办理都照常，没有丢失；页面过几秒会自己再试。",
        "The board's database does not answer. Reporting and handling go on, nothing is lost; "
        "this page tries again in a few seconds.",
    )

    starting_title = Text("看板正在启动", "The board is starting")
    starting_text = Text(
        "镇的资料还没有读完；页面过几秒会自己再试。",
        "The town's records are still being read; this page tries again in a few seconds.",
    )

    # What happened lately.
    acts_title = Text("刚才", "Just now")
    acts_none = Text("还没有动静。", "Nothing has happened yet.")
    act_opened = Text("{place} 报来 {number} {category}", "{place} reported {number} {category}")
    act_accepted = Text("{who} 接了 {number} {category}", "{who} took on {number} {category}")
    act_step = Text("{who} {step} {number} {category}", "{who}: {step}, {number} {category}")
    act_resolved = Text("{who} 办好了 {number} {category}", "{who} settled {number} {category}")
    act_visited = Text(
        "{who} 回访了 {number} {category}",
        "{who} asked the reporter of {number} {category}",
    )
    act_reopened = Text(
        "{who} 重新办理 {number} {category}", "{who} took up again {number} {category}"
    )
    act_assigned = Text("{number} {category}", "{number} {category}")
    act_handed_over = Text(
        "{who} 接过了 {number} {category}", "{who} took over {number} {category}"
    )
    act_called = Text(
        "{number} {category} 急，正在叫人", "{number} {category} is urgent: people are called"
    )
    act_warned = Text(
        "{number} {category} 快到时限，{owner} 在办",
        "{number} {category} is due soon, {owner} has it",
    )
    act_missed = Text(
        "{number} {category} 超时，{owner} 在办",
        "{number} {category} is overdue, {owner} has it",
    )
    act_followed_up = Text(
        "{number} {category} 又收到一份，内容不同，已留存",
        "{number} {category} came again in other words, kept",
    )
    act_blown = Text(
        "{who} {whistle}，叫 {departments} 来办 {number} {category}",
        "{who} blew the {whistle}, {departments} called to {number} {category}",
    )
    act_reported_in = Text(
        "{departments} 已报到，{number} {category}",
        "{departments} reported in for {number} {category}",
    )
    act_reported_late = Text(
        "{departments} 来晚了，已报到，{number} {category}",
        "{departments} came late to {number} {category}",
    )
    act_arrived = Text(
        "{departments} 到了现场，{number} {category}",
        "{departments} on the spot, {number} {category}",
    )
    act_due_soon = Text(
        "{departments} 快到报到时限，{number} {category}",
        "{departments} to report in soon, {number} {category}",
    )
    act_not_come = Text(
        "{departments} 未到，{number} {category}",
        "{departments} did not come, {number} {category}",
    )
    act_not_there = Text(
        "{departments} 报到后没到现场，{number} {category}",
        "{departments} reported in and did not arrive, {number} {category}",
    )
    act_corrected = Text(
        "{departments} 是按时报到的，不算未到，{number} {category}",
        "{departments} had reported in on time, the miss is void, {number} {category}",
    )
    act_refused = Text(
        "{departments} 退回 {number} {category}",
        "{departments} refused {number} {category}",
    )
    act_ruled = Text(
        "{who} 同意 {departments} 退回 {number} {category}",
        "{who} lets {departments} refuse {number} {category}",
    )
    act_rejected = Text(
        "{who} 不同意 {departments} 退回，仍要报到，{number} {category}",
        "{who}: {departments} may not refuse and must report in, {number} {category}",
    )
    act_released = Text(
        "{who} 让 {departments} 回去，{number} {category}",
        "{who} let {departments} go, {number} {category}",
    )
    act_withdrawn = Text(
        "{who} 撤回对 {departments} 的{whistle}，{number} {category}",
        "{who} took back the {whistle} for {departments}, {number} {category}",
    )
    act_chased = Text(
        "催 {departments} 报到，{number} {category}",
        "{departments} reminded, {number} {category}",
    )
    act_head_told = Text(
        "{departments} 还没到，已告诉负责人，{number} {category}",
        "{departments} not there yet, the head is told, {number} {category}",
    )
    act_nobody_there = Text(
        "{departments} 还没到，该告诉的人没有值守，{number} {category}",
        "{departments} not there yet, nobody on duty to be told, {number} {category}",
    )
    act_escalated = Text(
        "{departments} 还没到，{number} {category}",
        "{departments} not there yet, {number} {category}",
    )
    act_called_upward = Text(
        "{who} 请上级来办 {number} {category}",
        "{who} called upward for {number} {category}",
    )
    act_answered = Text(
        "上级答复了 {number} {category}", "The level above answered for {number} {category}"
    )
    act_unanswered = Text(
        "上级到时没有答复，{number} {category}",
        "The level above has not answered in time, {number} {category}",
    )
    act_unruled = Text(
        "{departments} 退回，到时没有人裁定，{number} {category}",
        "Nobody has ruled in time on what {departments} refused, {number} {category}",
    )
    act_consulted = Text(
        "{departments} 会诊有了结果，{number} {category}",
        "{departments} agreed on one result for {number} {category}",
    )
    to_level = Text("上报 {level}", "passed up to {level}")
    to_unit = Text("交给 {unit}", "handed to {unit}")
    satisfied = Text("群众满意", "satisfied")
    unsatisfied = Text("群众不满意", "not satisfied")
    ended = Text("{state}", "{state}")
    somebody = Text("有人", "somebody")
    reporter = Text("报事人", "the reporter")
    system = Text("系统", "the system")
    software = Text("部门的系统", "the department's software")

    # The link.
    link_live = Text("实时", "Live")
    link_connecting = Text("正在连接", "Connecting")
    link_stale = Text("已断开，停在 {time}", "Cut off, as of {time}")
    link_last = Text("最后一条 {time}", "last news {time}")

    # Time.
    span_minutes = Text("{m} 分", "{m} min")
    span_hours = Text("{h} 小时", "{h} h")
    span_hours_minutes = Text("{h} 小时 {m} 分", "{h} h {m} min")
    span_days = Text("{d} 天", "{d} d")
    span_days_hours = Text("{d} 天 {h} 小时", "{d} d {h} h")
    left = Text("还有 {span}", "{span} left")
    left_little = Text("还有不到 1 分", "less than 1 min left")
    late = Text("超时 {span}", "{span} overdue")
    late_just = Text("刚刚超时", "overdue just now")
    provisional = Text("暂定", "provisional")
    until = Text("（{at}）", " ({at})")
    was_due = Text("（{at} 到期）", " (was due {at})")
    at = Text("（{at}）", " ({at})")
    just_now = Text("刚刚", "just now")
    minutes_ago = Text("{n} 分钟前", "{n} min ago")
    hours_ago = Text("{n} 小时前", "{n} h ago")
    days_ago = Text("{n} 天前", "{n} d ago")
    today = Text("今天 {time}", "today {time}")
    tomorrow = Text("明天 {time}", "tomorrow {time}")
    yesterday = Text("昨天 {time}", "yesterday {time}")
    date = Text("{month}月{day}日 {time}", "{day} {month} {time}")
    date_year = Text("{year}年{month}月{day}日 {time}", "{day} {month} {year} {time}")
    header_date = Text("{month}月{day}日 {weekday}", "{weekday} {day} {month}")
    weekdays = Text("周一 周二 周三 周四 周五 周六 周日", "Mon Tue Wed Thu Fri Sat Sun")
    months = Text("1 2 3 4 5 6 7 8 9 10 11 12", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")


WORDS = {language: Words(language) for language in LANGUAGES}
