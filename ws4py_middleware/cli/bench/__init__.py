"""
``bench URL``: how many messages a second, and how long each takes.

=============  =====================================================================
``load``       the clients, and what they count
``histogram``  how long things took
``report``     what is said of it
=============  =====================================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from ..console import err, out, write_json
from ..options import Seconds, Size, client_options, make_client_arguments
from ..statuses import ABNORMAL, DONE, INTERRUPTED

if TYPE_CHECKING:
    from .load import Plan, Result, Run

__all__ = ["bench"]

_EPILOG = """\b
Exit status:
    0  all messages came back as they were sent
    1  some did not, or connections failed or were lost
    2  wrong usage
    3  the server refused the first handshake; its answer is shown
    4  no connection: the name, the network, TLS, no server of WebSockets
    5  timed out, connecting
  130  Ctrl-C; what was measured until then is shown
"""

#: Descriptors that are not connections.
_SPARE = 64

#: Bytes that may be on the way, of all connections together; and what a message costs beside its own, about.
_MOST = 1024**3
_COST = 256

_FASTEST = 1e6


class _Rate(click.ParamType):  # type: ignore[type-arg]  # not before click 8.3
    """Messages a second."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; ``nan`` is neither too small nor too large for click's ranges."""
        try:
            rate = float(value)
        except ValueError:
            rate = math.nan
        if not 0 < rate <= _FASTEST:
            said = f"{value!r} is no number of messages a second; that is more than 0, at most {_FASTEST:.0f}"
            self.fail(said, param, ctx)
        return rate


@click.command(epilog=_EPILOG)
@click.argument("url")
@click.option(
    "-c", "--connections", type=click.IntRange(min=1), default=10, show_default=True, help="Connections."
)
@click.option(
    "-n",
    "--size",
    type=Size(),
    default="125",
    show_default=True,
    help="Bytes of each message, or with k or M.",
)
@click.option(
    "-d",
    "--depth",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Messages on the way of each connection: so many are sent before the first answer.",
)
@click.option(
    "-t",
    "--duration",
    type=Seconds(zero=False),
    default=10.0,
    show_default=True,
    help="Seconds.",
)
@click.option("--binary", is_flag=True, help="Send binary messages, not text.")
@click.option(
    "-r",
    "--rate",
    type=_Rate(),
    help="Send so many messages a second, of all connections together; latency counts from when one was due.",
)
@click.option("--any-answer", is_flag=True, help="Take whatever comes for the answer; nothing is compared.")
@click.option("--json", "is_json", is_flag=True, help="Write one object of JSON; times are seconds.")
@client_options
@click.pass_context
def bench(ctx: click.Context, /, url: str, **options: Any) -> None:
    """
    Measure a server that sends each message back.

    It opens connections, keeps --depth messages on the way of each for --duration seconds, compares what
    comes back with what was sent, and tells messages a second (each went there and back), a histogram of how
    long they took, and what went wrong.
    """
    from ..failures import report
    from .load import Plan, Run

    arguments = make_client_arguments(options)
    names = ("connections", "size", "depth", "duration", "binary", "rate", "any_answer")
    plan = Plan(url, **{name: options[name] for name in names})
    _make_room(plan.connections)
    _check_memory(plan)
    try:
        run = Run(plan, arguments)
    except ValueError as error:
        ctx.exit(report(error))
    result = _watch(run)
    if not result.opened and result.first_failure is not None and not result.is_interrupted:
        ctx.exit(report(result.first_failure))
    _write(result, is_json=options["is_json"])
    if result.is_interrupted:
        ctx.exit(INTERRUPTED)
    ctx.exit(ABNORMAL if result.errors else DONE)


def _make_room(connections: int) -> None:
    """Have enough descriptors."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise click.UsageError(
            f"--connections {connections} needs {wanted} descriptors, and this process may have {hard}; "
            "see ulimit -n"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_memory(plan: Plan) -> None:
    """Refuse what would be queued here, whole, before the first answer comes."""
    wanted = plan.connections * plan.depth * (plan.size + _COST)
    if wanted > _MOST:
        raise click.UsageError(
            f"--connections {plan.connections}, --depth {plan.depth} and --size {plan.size} would have"
            f" {wanted // 1024**2:,} MiB on the way, and may have {_MOST // 1024**2:,}; take less of one"
        )


def _watch(run: Run) -> Result:
    """Measure, with a progress bar where there is somebody to see it."""
    console = err()
    if not console.is_terminal:
        return run.measure(lambda phase, done: None)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}", markup=False)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, refresh_per_second=5
    ) as bar:
        task = bar.add_task("connecting", total=1.0, said="")

        def tell(phase: str, done: float) -> None:
            said = f"{run.result.answered:,} messages" if phase == "measuring" else ""
            bar.update(task, description=phase, completed=done, said=said)

        return run.measure(tell)


def _write(result: Result, *, is_json: bool) -> None:
    from .report import as_dict, describe

    if is_json:
        write_json(as_dict(result))
        return
    console = out()
    block = "█" if console.encoding.startswith("utf") else "#"
    for line, style in describe(result, block=block):
        console.print(line.rstrip(), style=style)
