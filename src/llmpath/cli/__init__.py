"""The command line: load, call, show, exit. The one error boundary is `run`.

Command modules import what they need inside their functions, so that each command pays
only for itself and none of them for torch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from llmpath.cli import author, data, grading, labs, learning, models, progress, setup
from llmpath.cli.chat import chat
from llmpath.cli.export import export
from llmpath.cli.report import report
from llmpath.cli.review import review
from llmpath.cli.serve import serve
from llmpath.cli.state import State
from llmpath.cli.tour import tour
from llmpath.cli.upgrade import upgrade
from llmpath.cli.watch import watch
from llmpath.errors import LlmpathError


class _Commands(TyperGroup):
    """The commands, of which each may be stopped by Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # typer would make a mere exit code of it, which `lab run` also has after its own words.
            typer.echo(err=True)  # what `run` says is not to stand behind the terminal's ^C
            raise typer.Abort from None


app = typer.Typer(
    name="llmpath",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# The order of `llmpath --help`: a learner's day first.
for command, name in (
    (setup.init, "init"),
    (learning.next_, "next"),
    (grading.grade, "grade"),
    (watch, "watch"),
    (learning.hint, "hint"),
    (learning.quiz, "quiz"),
    (review, "review"),
    (learning.list_, "list"),
    (learning.show, "show"),
    (learning.status, "status"),
    (chat, "chat"),
    (serve, "serve"),
    (report, "report"),
    (export, "export"),
    (upgrade, "upgrade"),
    (setup.start, "start"),
    (tour, "tour"),
    (setup.doctor, "doctor"),
):
    app.command(name)(command)
app.add_typer(labs.app, name="lab")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(progress.app, name="progress")
app.add_typer(author.app, name="author")

INTERRUPTED = 130
# What typer raises for a command line that it cannot read. Some versions of typer carry a click
# of their own, so the class is found from one that typer exports.
_Refusal: Any = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


def _version(wanted: bool) -> None:
    if wanted:
        from llmpath import __version__

        typer.echo(f"llmpath {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", "-w", help="Your llmpath folder, if you are not in it."),
    ] = None,
    course: Annotated[
        str | None,
        typer.Option("--course", help="Another course: its folder, or its name if installed."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error of llmpath's own.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Learn large language models by writing one.

    Begin with [bold]llmpath init[/] in an empty folder, then type [bold]llmpath next[/].
    """
    context.obj = State(workspace=workspace, named=course, debug=debug)


def run(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 not passed, 2 something is wrong with the request."""
    debug = "--debug" in (arguments if arguments is not None else sys.argv)
    try:
        code = app(args=arguments, standalone_mode=False, prog_name="llmpath")
    except LlmpathError as error:
        if debug:
            raise
        _tell(error.message, error.hint)
        code = 2
    except _Refusal as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        _tell("Stopped.", "")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as `llmpath list | head -1` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if debug:
            raise
        _tell(
            f"llmpath itself failed: {type(error).__name__}: {error}",
            "This is a fault of llmpath, not of yours. Type the command again with --debug before "
            "its name to see where.",
        )
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _tell(message: str, hint: str) -> None:
    from llmpath.ui.notice import problem

    problem(message, hint)
