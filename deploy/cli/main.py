"""The command `chuishao`: start it, show it, look after it."""

import sys

import typer
from typer.exceptions import TyperException

from deploy.cli import audit, calendar, clock, dlq, erase, jobs, keys, operate, registry, workbooks
from deploy.cli.bench import bench
from deploy.cli.demo import demo
from deploy.cli.replay import replay
from deploy.cli.screen import err, misused
from deploy.cli.up import up

app = typer.Typer(
    help="吹哨：村吹哨、部门报到 · the engine that lets a township answer its people",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(up)
app.command()(demo)
app.command()(replay)
app.add_typer(clock.app, name="clock")
app.add_typer(calendar.app, name="calendar")
registry.app.add_typer(workbooks.app)
registry.app.add_typer(erase.app)
app.add_typer(registry.app, name="registry")
app.command()(operate.token)
app.command()(operate.revoke)
app.add_typer(operate.topics, name="topics")
app.command()(operate.doctor)
app.add_typer(dlq.app, name="dlq")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.command()(jobs.secrets)
app.command("migrate")(jobs.migrate_all)
app.command()(jobs.seed)
app.command()(bench)


def main() -> None:
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        err.print(misused(error.format_message(), sys.argv[1:]), markup=False)
        sys.exit(error.exit_code)
    sys.exit(code)
