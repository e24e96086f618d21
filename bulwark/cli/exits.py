"""What the exit codes mean, and the failure that carries one to the user in words they can act on."""

import functools
import inspect
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import typer

from bulwark.cli.render import shown
from bulwark.documents import Unreadable
from bulwark.rules import NotJson


class Exit(IntEnum):
    DONE = 0
    UNFINISHED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done; 1 ran, and something is left undone or went wrong; 2 wrong usage; "
    "3 nothing to talk to, or no way to sign in; 4 refused, with the reason; 130 interrupted."
)


class Problem(Exception):
    """Ends the command with a message, what to do about it, and an exit code."""

    def __init__(self, message: str, hint: str = "", code: Exit = Exit.UNFINISHED):
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Callable], Callable]:
    """Register a command whose failures are told in a sentence instead of a traceback."""

    def register(function: Callable) -> Callable:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except KeyboardInterrupt:
                raise typer.Exit(Exit.INTERRUPTED) from None
            except Exception as error:
                problem = error if isinstance(error, Problem) else _told(error)
                if problem is None:
                    raise
                typer.secho(shown(f"bulwark: {problem.message}"), err=True, fg="red")
                if problem.hint:
                    typer.echo(shown(problem.hint), err=True)
                raise typer.Exit(problem.code) from None

        return app.command(name, help=_help(function.__doc__ or ""), epilog=EXIT_CODES, **settings)(run)

    return register


def _help(docstring: str) -> str:
    """A docstring as help: paragraphs flow to the terminal's width, examples (after \\b) get lines of their own."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(
        paragraph.replace("\n", "\n$ ") if paragraph.startswith("\b") else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )


def _told(error: Exception) -> Problem | None:
    """A file or an answer that cannot be read, or a failure to reach AWS, in a sentence; None for a bug of ours."""
    if isinstance(error, Unreadable):
        return Problem(str(error), code=Exit.USAGE)
    if isinstance(error, NotJson):
        return Problem(f"What was answered {error}.")
    if "botocore" not in sys.modules:
        return None
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        said = error.response.get("Error", {})
        return Problem(
            f"AWS refused {error.operation_name}: {said.get('Code')}: {said.get('Message')}",
            code=Exit.REFUSED,
        )
    if isinstance(error, exceptions.NoCredentialsError | exceptions.NoRegionError | exceptions.ProfileNotFound):
        hint = "--stack uses your default AWS credentials and region: set AWS_PROFILE, or AWS_REGION and keys."
        return Problem(str(error), hint, Exit.UNREACHABLE)
    if isinstance(error, exceptions.HTTPClientError):
        return Problem(str(error), "Is it running? 'bulwark up' starts the embedded AWS.", Exit.UNREACHABLE)
    if isinstance(error, exceptions.BotoCoreError) and not isinstance(error, exceptions.ParamValidationError):
        return Problem(str(error), "Your AWS configuration, or a variable named AWS_..., says so.", Exit.UNREACHABLE)
    return None
