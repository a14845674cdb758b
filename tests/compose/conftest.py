"""These run where Docker answers and has the images, by `make test-compose` alone."""

from pathlib import Path

import pytest

from tests import containers

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="Docker does not answer, or lacks an image")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.compose)
            if not containers.available():
                item.add_marker(skip)
