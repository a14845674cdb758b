"""What the manifest asks of the broker."""

import pytest

from contracts.topics import DAY_MS, LEDGER_REGISTRY, TOPICS


def test_a_reader_that_was_away_for_weeks_still_sees_what_was_removed() -> None:
    assert LEDGER_REGISTRY.config["delete.retention.ms"] == str(30 * DAY_MS)
    assert LEDGER_REGISTRY.config["max.compaction.lag.ms"] == str(DAY_MS)
    assert [topic.name for topic in TOPICS if "delete.retention.ms" in topic.config] == [
        LEDGER_REGISTRY.name
    ]


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "2"), (3, "2")])
def test_a_write_counts_once_two_replicas_have_it_where_there_are_two(
    replication: int, in_sync: str
) -> None:
    for topic in TOPICS:
        config = topic.config_for(replication)
        assert config == {**topic.config, "min.insync.replicas": in_sync}
