"""Where the embedded PostgreSQL lies is made by whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from deploy.local import postgres_home


def test_two_that_make_the_common_place_at_once_both_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for n in range(200):
            monkeypatch.setattr(postgres_home, "REACHABLE_ROOT", tmp_path / str(n))
            both = Barrier(2)

            def make(together: Barrier = both) -> None:
                together.wait()
                postgres_home._make_root()  # noqa: SLF001 - the race itself

            for one in [pool.submit(make) for _ in range(2)]:
                one.result()
            assert (tmp_path / str(n)).is_dir()
