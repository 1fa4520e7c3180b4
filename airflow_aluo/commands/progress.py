"""How far a wait is: a bar on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from airflow_aluo.commands.console import say
from airflow_aluo.protocol.vocabulary import USUAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Task

    from airflow_aluo.protocol.flows import Watcher

#: Characters of the bar.
_WIDTH: Final = 24


@contextmanager
def progress(description: str, *, of_an_edit: bool = False) -> Iterator[Watcher]:
    """Show that something goes on; give the function that is told what it has come to.

    :param of_an_edit: show the time against what an edit usually takes.
    """
    console = Console(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        say(description)
        yield lambda message, *args: say(message % args)
        return
    times = (_Bar(), _AgainstTheUsual()) if of_an_edit else (_Seconds(),)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), *times)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        shown = bar.add_task(description, total=None)
        yield lambda message, *args: bar.update(shown, description=message % args)


class _Bar(ProgressColumn):
    """The time that has passed, against the time that an edit usually takes."""

    def render(self, task: Task) -> ProgressBar:
        """Draw it; once it is full, it only shows that something goes on."""
        longest = USUAL_SECONDS[1]
        return ProgressBar(longest, min(task.elapsed or 0.0, longest), width=_WIDTH)


class _Seconds(ProgressColumn):
    """The time that has passed."""

    def render(self, task: Task) -> Text:
        """Write it."""
        return Text(f"{task.elapsed or 0.0:.0f} s")


class _AgainstTheUsual(ProgressColumn):
    """What the bar shows, in numbers."""

    def render(self, task: Task) -> Text:
        """Write it."""
        shortest, longest = USUAL_SECONDS
        elapsed = task.elapsed or 0.0
        usual = "longer than usual" if elapsed > longest else f"usually {shortest:g} to {longest:g} s"
        return Text(f"{elapsed:.0f} s, {usual}")
