"""A row of the table: what is done to which edit, and what must have become of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.play import Play

#: Where a row plays: in an Airflow where each row minds its own run, or in one that is shaken as a whole.
ORDINARY, SHAKEN = "ordinary", "shaken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is done, and what must be. What is left out must have gone well at once."""

    #: A sentence.
    case: str
    dag: str = "edit_in_worker"
    #: More for the run's conf.
    conf: Mapping[str, Any] = field(default_factory=dict)
    #: Faults ordered before the run, as the sandbox takes them. They meet this row's prompt only.
    faults: Sequence[Mapping[str, Any]] = ()
    #: What is done, from the run's start on.
    script: Callable[["Play"], None] | None = None
    #: Of a shaken row: what is done to the Airflow as a whole, together with other such rows.
    shock: str = ""

    #: Edits that Aluo must have accepted, and the credits that it must have taken; ``None`` for any number
    #: that was asked for.
    accepted: int | None = 1
    charged: int | None = 35
    #: POSTs that Aluo must have seen; as many as edits were accepted if left out.
    posts: int | None = None
    #: How each task must have ended.
    ends: Mapping[str, str | None] = field(default_factory=lambda: {"edit": "success"})
    #: Tries of the task that took most; ``None`` for any number.
    tries: int | None = 1
    #: Reads the log of the last try of the last task.
    says: str | None = None
    #: Reads the log of any try of any task.
    tells: str | None = None
    #: Reads no log of any try.
    never_tells: str | None = None
    #: Edits that were asked for: more than one where a person, or the DAG's author, asked again.
    asked: int = 1
    #: Why a task may have failed though its edit succeeded.
    lost: str | None = None
    #: Why a task may be a success without a picture.
    bare: str | None = None
    #: The task instance was deleted, and Airflow may have ended the run without making it anew.
    may_vanish: bool = False
    #: Seconds until the run must have ended.
    patience: float = 150.0

    @property
    def slug(self) -> str:
        """The case as a name for runs and prompts."""
        return re.sub(r"[^a-z0-9]+", "-", self.case.lower()).strip("-")

    @property
    def place(self) -> str:
        """Where it plays."""
        return SHAKEN if self.shock else ORDINARY


@dataclass(slots=True, kw_only=True)
class Finding:
    """What became of a row."""

    row: Row
    accepted: int = 0
    charged: int = 0
    posts: int = 0
    ends: Mapping[str, str | None] = field(default_factory=dict)
    tries: Mapping[str, int] = field(default_factory=dict)
    #: Text of each try's log, by task and try.
    logs: Mapping[str, str] = field(default_factory=dict)
    #: What the tasks returned.
    records: Mapping[str, Any] = field(default_factory=dict)
    #: The ledger's entries of this row.
    entries: Sequence[Mapping[str, Any]] = ()
    #: What the workers told the store.
    said: Sequence[str] = ()
    #: Seconds that it took.
    seconds: float = 0.0
    #: What is wrong: nothing, it is hoped.
    wrongs: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """How the tasks ended, in few words."""
        counts: dict[str, int] = {}
        for task, state in self.ends.items():
            name = f"{task.partition('[')[0]} {state or 'gone'}"
            counts[name] = counts.get(name, 0) + 1
        words = [name if number == 1 else f"{name} x{number}" for name, number in counts.items()]
        tries = max(self.tries.values(), default=1)
        return ", ".join(words) + (f" at try {tries}" if tries > 1 else "")
