"""The texts of the registry's pages, in Chinese and in English; the board's beside them."""

from dataclasses import dataclass

from services.console.domain.words import LANGUAGES, Text, Words


@dataclass(frozen=True)
class RegisterWords(Words):
    """The texts in one language."""

    board = Text("看板", "Board")
    skip_page = Text("跳到内容", "Skip to the content")
    sign_out = Text("退出登录", "Sign out")

    # Signing in.
    sign_in_title = Text("请先登录", "Sign in first")
    sign_in_text = Text(
        "户和人的资料只给负责的人看。请贴上您的登录令牌。",
        "Households are shown to those who look after them. Paste your token.",
    )
    sign_in_bad = Text(
        "这个令牌不能用：过期了，或者不完整。请换一个。",
        "This token does not hold: it has expired, or part of it is missing. Take another.",
    )
    token = Text("登录令牌", "Token")
    sign_in = Text("登录", "Sign in")
    token_how = Text("试用时在终端里运行", "When trying it out, run in a terminal")

    # What is the matter.
    other_town_title = Text("这是另一个镇的页面", "This page is another town's")
    other_town_text = Text(
        "您登录的是另一个镇，这里的资料看不到。请退出后用这个镇的令牌登录。",
        "You are signed in for another town and see nothing of this one: sign out, then sign in.",
    )
    not_yours_title = Text("这里不归您的单位", "Not your unit's")
    not_yours_text = Text(
        "只有负责这里的人和镇里能看。要看，请找镇里调整您的岗位。",
        "It is for those who look after it and for the town. To see it, ask the town for a post.",
    )
    unknown_title = Text("没有找到", "Not found")
    unknown_text = Text(
        "登记里没有这个编号。请核对地址，或从网格页里选。",
        "The registry has no such id. Check the address, or choose from a grid's page.",
    )
    not_then_title = Text("那时没有这一户", "It was not there then")
    not_then_text = Text(
        "您选的日子里，登记上还没有这一户，或者已经销户。",
        "On the day that you chose the registry had no such household yet, or none any more.",
    )
    back_to_now = Text("回到现在", "Back to now")
    away_title = Text("暂时看不到登记", "The registry cannot be shown just now")
    away_text = Text(
        "台账没有应答。资料没有丢失；页面过几秒会自己再试。",
        "Ledger does not answer. Nothing is lost; this page tries again in a few seconds.",
    )
    bad_date_title = Text("日期没看懂", "The date was not understood")
    bad_date_text = Text("请写成 2025-03-03 这样。", "Write it like 2025-03-03.")

    # The page of a grid.
    grid_title = Text("{name} · 网格", "{name} · Grid")
    homes_count = Text("{n} 户", "{n} households")
    persons_count = Text("{n} 人", "{n} persons")
    watched_count = Text("重点关注 {n} 户", "{n} watched")
    findings_title = Text("要补的", "To be mended")
    findings_none = Text("这个网格该有的都有。", "This grid has all that it should have.")
    findings_homes = Text("{n} 户：{text}", "{n} households: {text}")
    staff_title = Text("谁在这里", "Who is here")
    staff_none = Text("还没有人。", "Nobody yet.")
    links_grid = Text("联系这个网格", "Linked to this grid")
    homes_title = Text("各户", "Households")
    homes_none = Text("这个网格还没有登记住户。", "No household is recorded in this grid yet.")
    homes_none_how = Text("成批登记，请在终端里运行", "To record many at once, run in a terminal")
    home = Text("户号", "Household")
    head = Text("户主", "Head")
    persons = Text("{n} 人", "{n} persons")
    no_head = Text("没有户主", "no head")
    classes = Text("类别", "Class")
    linked_by = Text("谁联系", "Looked after by")
    nobody = Text("没有人联系", "nobody")
    by_post = Text("按岗位", "by post")
    second_link = Text("协助", "second")
    cases = Text("在办的事", "Open cases")
    open_short = Text("在办 {n}", "{n} open")
    late_short = Text("超时 {n}", "{n} overdue")
    cases_none = Text("没有在办的事。", "No open case.")
    watched = Text("重点关注", "watched")
    not_all = Text("太多了，没有全部列出。", "There are too many: not all are listed.")
    overdue = Text("超时", "overdue")
    which_home = Text("哪一户", "Household")

    # The page of a household.
    household_title = Text("{name} · 户", "{name} · Household")
    household_name = Text("户 {id}", "Household {id}")
    changed_unseen = Text("改过，内容不显示", "changed, not shown")
    version = Text("第 {n} 版", "version {n}")
    holds_from = Text("自{at}起", "since {at}")
    as_of = Text("哪天的样子", "As of")
    known_on = Text("哪天所知", "As known on")
    as_of_help = Text("到那天结束时", "at the end of that day")
    known_on_help = Text("只看那天结束前登记的", "only what was recorded by its end")
    show = Text("查看", "Show")
    past = Text("这是过去的样子，不是现在的。", "This is how it was, not how it is.")
    members_title = Text("家里的人", "Who lives here")
    members_none = Text("没有登记家里的人。", "Nobody is recorded as living here.")
    member_name = Text("姓名", "Name")
    born = Text("出生", "Born")
    phone = Text("电话", "Phone")
    id_number = Text("证件号码", "Citizen number")
    flags = Text("标签", "Flags")
    links_title = Text("谁联系这一户", "Who looks after it")
    links_none = Text("没有人联系这一户。", "Nobody looks after it.")
    household_cases = Text("这一户的事", "Its cases")
    household_cases_none = Text("没有报过这一户的事。", "No case was reported for it.")
    closed = Text("已办结", "closed")
    history_title = Text("来历", "History")
    reason = Text("原因：{text}", "Reason: {text}")
    no_reason = Text("没有写原因", "no reason given")
    held_from = Text("自{at}起算", "holds from {at}")
    empty_value = Text("（空）", "(none)")
    yes = Text("是", "yes")
    no = Text("否", "no")
    act_household_added = Text("建户", "Household recorded")
    act_household_changed = Text("改了这一户", "Household changed")
    act_household_removed = Text("销户", "Household removed")
    act_person_added = Text("登记了家人 {id}", "Person {id} recorded")
    act_person_changed = Text("改了家人 {id}", "Person {id} changed")
    act_person_removed = Text("家人 {id} 销号", "Person {id} removed")
    act_person_moved_in = Text("{id} 迁入", "{id} moved in")
    act_person_moved_out = Text("{id} 迁出", "{id} moved out")
    act_link_added = Text("登记了联系", "Link recorded")
    act_link_changed = Text("改了联系", "Link changed")
    act_link_removed = Text("撤了联系", "Link removed")

    field_name = Text("姓名", "name")
    field_phone = Text("电话", "phone")
    field_id_number = Text("证件号码", "citizen number")
    field_birth_date = Text("出生", "born")
    field_sex = Text("性别", "sex")
    field_relation = Text("与户主关系", "relation to the head")
    field_address = Text("住址", "address")
    field_grid = Text("网格", "grid")
    field_group = Text("户组", "group")
    field_household_class = Text("类别", "class")
    field_more_classes = Text("其他类别", "other classes")
    field_watched = Text("重点关注", "watched")
    field_head = Text("户主", "head")
    field_flags = Text("标签", "flags")
    field_household = Text("户", "household")
    field_link = Text("联系", "link")
    field_staff = Text("联系人", "by")
    field_to = Text("联系谁", "to")
    field_to_kind = Text("联系哪一类", "kind")
    field_primary = Text("主要联系人", "primary")

    def field(self, name: str) -> str:
        """Say a field; one that has no words of its own by its name."""
        said: str = getattr(self, f"field_{name}", name)
        return said


REGISTER_WORDS = {language: RegisterWords(language) for language in LANGUAGES}
