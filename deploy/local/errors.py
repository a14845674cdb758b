class LocalStackError(Exception):
    """Tells a person what happened, what was kept and what to do: in Chinese, then in English."""

    def __init__(self, zh: str, en: str, log_tail: str = "") -> None:
        super().__init__("\n".join(part for part in (zh, en, log_tail) if part))
