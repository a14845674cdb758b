"""What `chuishao registry erase` tells where ledger refuses."""

import httpx
import pytest

from deploy.cli.erase import checked
from deploy.local.errors import LocalStackError


def test_what_still_names_the_record_is_told() -> None:
    problem = {
        "title": "没有抹去：见 errors。",
        "detail": "Nothing was erased: see `errors`.",
        "errors": [{"message": "还有 1 条联系。 1 link."}, {"message": "还有 2 人。 2 persons."}],
    }
    with pytest.raises(LocalStackError) as refused:
        checked(httpx.Response(409, json=problem))
    assert "1 link." in str(refused.value)
    assert "2 persons." in str(refused.value)
