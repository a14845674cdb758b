"""What happens in the system that a profile may name: to tell somebody, or to give points."""

from collections.abc import Mapping

# Ids which a notification rule's `when` may take.
NOTICES: Mapping[str, str] = {
    "case_accepted": "受理",
    "case_assigned": "分派",
    "case_resolved": "办结",
    "case_followed_up": "群众补充",
    "deadline_warning": "时限将到",
    "deadline_missed": "超时",
    "whistle_blown": "吹哨",
    "whistle_warned": "报到时限将到",
    "whistle_missed": "未报到",
    "whistle_escalated": "未报到上报",
    "whistle_refused": "拒绝报到",
    "whistle_unruled": "退回未裁定",
    "whistle_called_upward": "呼叫上级",
    "whistle_unanswered": "上级未答复",
    "whistle_arrival_missed": "未到场",
    "whistle_arrival_escalated": "未到场上报",
    "whistle_unreleased": "到场未解除",
    "urgent_after_hours": "班后急事",
    "backup_called": "请B角补位",
    "hand_over_ready": "移交单待签收",
    "step_published": "进度公开",
    "sheet_moved": "单子流转",
    "rating_bad": "评为不满意",
    "look_back_due": "该回头看",
    "obligation_missed": "常规工作未做",
    "report_late": "报告迟交",
    "risk_item_opened": "研判事项立项",
    "project_fixed": "实事确定",
    "request_transferred": "诉求转办",
    "request_answered": "诉求答复",
    "list_item_due": "清单事项到期",
    "wish_claimed": "心愿被认领",
}

# Ids which a points rule's `when` may take beside the ids of cadences.
SCORES: Mapping[str, str] = {
    "case_closed_in_time": "按时结案",
    "case_overdue": "案件超时",
    "obligation_missed": "常规工作未做",
    "report_rejected": "报告被退回",
}
