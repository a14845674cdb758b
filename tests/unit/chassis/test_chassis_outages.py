"""Which errors mean "not now" and which are the record's fault."""

import asyncpg
import pytest
from aiokafka import errors

from services.chassis.batch import is_passing, told
from services.chassis.postgres import is_outage

NOT_NOW: list[BaseException] = [
    asyncpg.ConnectionDoesNotExistError("08003"),
    asyncpg.ConnectionFailureError("08006"),
    asyncpg.InvalidAuthorizationSpecificationError("28000: the password is being changed"),
    asyncpg.InvalidPasswordError("28P01"),
    asyncpg.IdleInTransactionSessionTimeoutError("25P03: the session was frozen"),
    asyncpg.SerializationError("40001"),
    asyncpg.DeadlockDetectedError("40P01"),
    asyncpg.DiskFullError("53100"),
    asyncpg.OutOfMemoryError("53200"),
    asyncpg.TooManyConnectionsError("53300"),
    asyncpg.LockNotAvailableError("55P03"),
    asyncpg.QueryCanceledError("57014"),
    asyncpg.AdminShutdownError("57P01"),
    asyncpg.CrashShutdownError("57P02"),
    asyncpg.CannotConnectNowError("57P03"),
    asyncpg.PostgresIOError("58030"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress"),
    asyncpg.InvalidCachedStatementError("0A000: a migration came in between"),
    ConnectionRefusedError(),
    ConnectionResetError(),
    TimeoutError(),
    OSError(),
]
THE_RECORDS_FAULT: list[BaseException] = [
    asyncpg.UniqueViolationError("23505"),
    asyncpg.ForeignKeyViolationError("23503"),
    asyncpg.NotNullViolationError("23502"),
    asyncpg.CheckViolationError("23514"),
    asyncpg.CharacterNotInRepertoireError("22021"),
    asyncpg.UntranslatableCharacterError("22P05"),
    asyncpg.InvalidTextRepresentationError("22P02"),
    asyncpg.NumericValueOutOfRangeError("22003"),
    asyncpg.StatementTooComplexError("54001"),
    asyncpg.InFailedSQLTransactionError("25P02"),
    asyncpg.FeatureNotSupportedError("0A000"),
    asyncpg.DataError("invalid input for query argument $1"),
    ValueError(),
    KeyError(),
    TypeError(),
    RecursionError(),
    AssertionError(),
]


@pytest.mark.parametrize("error", NOT_NOW, ids=lambda error: type(error).__name__)
def test_the_world_is_at_fault(error: BaseException) -> None:
    assert is_outage(error)
    assert is_passing(error)


@pytest.mark.parametrize("error", THE_RECORDS_FAULT, ids=lambda error: type(error).__name__)
def test_the_record_is_at_fault(error: BaseException) -> None:
    assert not is_outage(error)
    assert not is_passing(error)


@pytest.mark.parametrize(
    "kind",
    [
        errors.KafkaConnectionError,
        errors.NodeNotReadyError,
        errors.RequestTimedOutError,
        errors.NotLeaderForPartitionError,
        errors.LeaderNotAvailableError,
        errors.NotEnoughReplicasError,
        errors.UnknownTopicOrPartitionError,
        errors.GroupCoordinatorNotAvailableError,
    ],
)
def test_a_broker_that_may_come_back_is_waited_for(kind: type[errors.KafkaError]) -> None:
    assert is_passing(kind())


@pytest.mark.parametrize(
    "kind",
    [
        errors.OutOfOrderSequenceNumber,
        errors.InvalidProducerEpoch,
        errors.ProducerClosed,
        errors.ProducerFenced,
        errors.MessageSizeTooLargeError,
        errors.KafkaError,
    ],
)
def test_a_producer_that_is_lost_is_not_waited_for(kind: type[errors.KafkaError]) -> None:
    assert not is_passing(kind())


def _fail(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError("invalid input for query argument $1: '张三' (expected int, got str)"),
        asyncpg.InvalidTextRepresentationError('invalid input syntax for type uuid: "张三"'),
        ValueError("invalid literal for int() with base 10: '张三'"),
        KeyError("张三"),
        ValueError("it's '张三' and \"张三\""),
        asyncpg.DataError("invalid input for query argument $2: ['张三', 7] (expected bytes)"),
    ],
    ids=str,
)
def test_an_error_is_told_without_the_value_that_made_it(error: Exception) -> None:
    text = told(_fail(error))
    assert type(error).__name__ in text
    assert "张三" not in text


def test_an_error_of_a_constraint_is_told_with_its_name() -> None:
    error = asyncpg.UniqueViolationError('duplicate key value violates unique constraint "one"')
    error.constraint_name = "one"
    assert "one" in told(error)


def test_an_error_that_says_nothing_is_told_by_its_kind() -> None:
    assert told(RuntimeError()).startswith("RuntimeError")
