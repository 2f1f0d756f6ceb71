"""How errors reach the user: a line on stderr and an exit code."""

from __future__ import annotations

from tvsl.cli.output import print_error
from tvsl.errors import TvslError, UsageError, VocabularyError

SOME_INPUT_FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


def exit_code(error: TvslError) -> int:
    """2 for what the user asked wrongly, 1 for what a file could not give."""
    return WRONG_USAGE if isinstance(error, UsageError | VocabularyError) else SOME_INPUT_FAILED


def report(error: TvslError) -> None:
    """Print an error on stderr."""
    print_error(error)
