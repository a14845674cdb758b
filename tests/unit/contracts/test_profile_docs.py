"""What `docs/profile.md` tells the writer of a profile is true."""

import re
from pathlib import Path

from contracts.profile import NOTICES, SCORES, Profile, load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")


def test_the_worked_example_loads(tmp_path: Path) -> None:
    base = (ROOT / "contracts" / "profiles" / "base.yaml").read_text(encoding="utf-8")
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    example = re.search("```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "qingshi.yaml").write_text(example[1], encoding="utf-8")

    profile = load(tmp_path / "qingshi.yaml")

    assert "land" not in profile.departments_by_id
    assert profile.category("dispute_land").department is None
    assert profile.level("grid").zh == "网格"


def test_the_page_names_every_section_notice_and_score() -> None:
    sections = [field.alias or name for name, field in Profile.model_fields.items()]

    assert [word for word in (*sections, *NOTICES, *SCORES) if f"`{word}`" not in PAGE] == []


def test_the_page_gives_every_notice_its_words() -> None:
    assert [word for word, zh in NOTICES.items() if f"`{word}` {zh}" not in PAGE] == []
