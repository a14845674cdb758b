"""What the API says when it does not do what was asked, in two languages."""

from services.chassis.http import Problem
from services.routing.domain.values import Refused
from services.routing.store.cases import Kept


def not_found() -> Problem:
    """Say that there is no such case; another tenant's is answered alike."""
    return Problem(404, "case_not_found", "没有这件事。", "There is no such case.")


def forbidden() -> Problem:
    """Say that the case is another unit's, and nothing else of it."""
    zh, en = "这件事不归您的单位。", "This case does not belong to your unit."
    return Problem(403, "unit_not_allowed", zh, en)


def not_opened(tenant_id: str, kid: str) -> Problem:
    """Say by which key a case's words do not open: it is lost, or they were altered."""
    zh = f"{tenant_id} 的密钥 {kid} 打不开这件事的内容：请运维查 chuishao keys ls。"
    en = f"Key {kid} of {tenant_id} does not open this case's words: see `chuishao keys ls`."
    return Problem(503, "words_not_opened", zh, en)


_REFUSALS = {
    "unknown_step": (422, "流程中没有这一步", "the flow has no such step"),
    "step_not_allowed": (409, "现在不能走这一步", "this step is not possible in this state"),
    "role_not_allowed": (
        403,
        "您的角色不能这样做，可以做的岗位",
        "your role may not do this; these roles may",
    ),
    "unit_not_allowed": (403, "这件事不归您的单位", "this case does not belong to your unit"),
    "not_the_handler": (403, "只有承办人能走这一步", "only the handler may take this step"),
    "same_person": (403, "这一步须由另一个人来做", "another person must take this step"),
    "rung_skipped": (
        409,
        "不能越级上转，请先转到这一级",
        "no level is passed over: pass it to this one first",
    ),
    "needs_missing": (422, "还缺必填内容", "something needed is missing"),
    "whistle_open": (
        409,
        "还有部门没有报到",
        "departments have yet to report in; settle it after they have",
    ),
    "whistle_not_allowed": (409, "这件事现在不能吹哨", "no whistle can be blown on this case"),
    "departments_missing": (422, "没有点名部门", "no department is named"),
    "unknown_department": (422, "没有这个部门", "there is no such department to call"),
    "lead_not_named": (422, "牵头部门不在被点名的部门里", "the lead is not among the departments"),
    "lead_missing": (422, "请在 lead 里写明牵头部门", "name in `lead` which department leads"),
    "already_called": (409, "这个部门已经被吹哨", "the department has been called already"),
    "not_called": (403, "没有点名这个部门", "this department was not called"),
    "department_not_yours": (403, "这不是您的部门", "this is not your department"),
    "means_not_allowed": (422, "不能用这种方式报到", "this is no way to report in here"),
    "slot_ended": (409, "这次报到已经了结", "this department's part has ended"),
    "not_reported_in": (409, "还没有报到", "it has not reported in yet"),
    "not_withdrawable": (409, "不能撤回", "a call cannot be taken back here"),
    "refusal_rejected": (
        409,
        "退回已被驳回，请报到",
        "its refusal was rejected: it must report in",
    ),
    "nothing_to_rule": (409, "没有待裁定的退回", "it has no refusal to be decided"),
    "same_department": (
        422,
        "不能由退回的部门顶替自己，请在 call 里另点部门",
        "a department cannot take its own place: name another in `call`",
    ),
    "upward_not_allowed": (409, "这件事不能上呼", "the level above cannot be called for this case"),
    "already_called_upward": (409, "已经上呼，正等答复", "it was called and has yet to answer"),
    "already_answered": (409, "已经答复过", "it has answered already"),
    "consultation_not_allowed": (
        409,
        "这件事不能会诊",
        "no joint consultation is held on this case",
    ),
    "not_joint": (422, "会诊至少要两个部门", "a joint consultation takes two departments"),
    "still_awaited": (409, "还有部门没有报到", "departments have yet to report in"),
    "nobody_called": (409, "现在没有叫人", "nobody is called to this case now"),
    "transfer_open": (
        409,
        "已有一次移交在等人接，请先撤回",
        "an offer waits to be taken; withdraw it first",
    ),
    "transfer_ended": (409, "这次移交已经了结", "this offer has ended"),
    "transfer_not_allowed": (
        409,
        "这件事已经结案，不能移交",
        "a closed case cannot be transferred",
    ),
    "to_oneself": (
        422,
        "不能移交给自己，to 请写别人",
        "a case cannot go to its own owner; name another in `to`",
    ),
    "unknown_receiver": (
        422,
        "没有这个人或这个岗位，请改 to",
        "there is no such person or post; mend `to`",
    ),
    "cannot_accept": (
        422,
        "对方的角色不能受理，to 请换人",
        "the receiver's role may not accept cases; name another in `to`",
    ),
    "not_the_receiver": (403, "这件事不是移交给您的", "this case is not offered to you"),
    "not_the_owner": (403, "只有承办人能移交", "only the owner may do this"),
    "sheet_received": (409, "这张移交单已经签收", "this sheet has been signed for"),
    "stale": (
        409,
        "别人刚刚动过这件事，请看过现状再试，现在的序号是",
        "somebody has acted since: look, then retry; the case has come as far as `seq` tells",
    ),
    "seq_ahead": (
        409,
        "expected_seq 比这件事现在的序号还大，现在是",
        "`expected_seq` is ahead of the case, which has come as far as `seq` tells",
    ),
}


def refusal(refused: Refused, kept: Kept) -> Problem:
    """Say why not, what would be possible, and where the case stands now."""
    status, zh, en = _REFUSALS[refused.code]
    named = f"（{'、'.join(refused.names)}）" if refused.names else ""
    return Problem(
        status,
        refused.code,
        f"{zh}{named}。",
        f"{en[0].upper()}{en[1:]}. See `names`.",
        names=list(refused.names),
        state=kept.case.state,
        seq=kept.case.seq,
    )
