"""How the command speaks: Chinese first, English beside it, nothing louder than needed."""

import asyncio
import itertools
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import aiohttp
import asyncpg
import httpx
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.errors import LocalStackError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

T = TypeVar("T")
# What a command meets when a process that it needs dies under it.
GONE = (
    OSError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    httpx.HTTPError,
    aiohttp.ClientError,
)

DATA_DIR = ".chuishao"
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="CHUISHAO_DATA_DIR",
        metavar="DIR",
        help="数据目录 · where the stack keeps its data",
        show_default=True,
    ),
]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="ID", help="镇 · which tenant")]


# What the parser says of wrong usage, and how it is said here first.
MISUSES = (
    (r"No such option: (\S+)", "没有这个选项：{}"),
    (r"No such command '(.*)'", "没有这个命令：{}"),
    (r"Option '(.+)' requires", "选项 {} 后面要写值"),
    (r"Option '(.+)' does not take a value", "选项 {} 后面不写值"),
    (r"Missing (?:argument|parameter) '(.+)'", "还缺参数：{}"),
    (r"Missing option '(.+)'", "还缺选项：{}"),
    (r"Invalid value for '(.+?)'", "{} 的值不对"),
    (r"Got unexpected extra argument.* \((.+)\)", "多了参数：{}"),
)


def misused(said: str, given: Sequence[str]) -> str:
    """Say what is wrong with how a command was called, and where its usage stands."""
    if said.startswith("Usage: "):
        return said  # the usage itself, where nothing at all was asked for
    found = ((re.match(pattern, said), zh) for pattern, zh in MISUSES)
    zh = next((zh.format(match[1]) for match, zh in found if match), "命令用得不对")
    named = itertools.takewhile(lambda word: word.isalpha() and word not in zh, given[:2])
    words = " ".join(["chuishao", *named])
    return f"{zh} · {said}\n用法 · usage：{words} --help"


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def progress() -> Progress:
    """Make a progress bar; in a log it prints nothing but its end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work; what stands in the way is told in two languages, without a trace."""
    try:
        return asyncio.run(work())
    except LocalStackError as error:
        err.print("[bold]没有成功 · It did not work[/bold]")
        err.print(str(error), markup=False)  # it may repeat what was typed, brackets too
        raise typer.Exit(1) from error
    except TimeoutError as error:
        err.print("[bold]等得太久 · It took too long[/bold]")
        err.print(str(error), markup=False)
        raise typer.Exit(1) from error
    except GONE as error:
        what = f"{type(error).__name__}: {error}"
        err.print(
            "[bold]一个服务或服务器没有回应 · A service or server does not answer[/bold]\n"
            "chuishao doctor 会说明是哪一个 · tells which one"
        )
        err.print(what, markup=False)
        raise typer.Exit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
