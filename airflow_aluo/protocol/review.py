"""What a person is asked about edits, and what follows from the answer. Plain values in, plain values out.

One edit is approved, redone or rejected. Of several, those that are chosen are approved; the rest is
rejected, or redone where that was chosen, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_aluo.protocol import chained
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.markdown import plain
from airflow_aluo.protocol.rendered import optional, shown

if TYPE_CHECKING:
    from airflow_aluo.protocol.decision import Decision, EditReview
    from airflow_aluo.protocol.record import EditRecord

APPROVE: Final = "Approve"
REDO: Final = "Redo"
REJECT: Final = "Reject"
REDO_OTHERS: Final = "Redo the others"
REJECT_ALL: Final = "Reject all"

#: What is decided where nobody answers in time.
OnTimeout = Literal["approve", "reject"]

#: Most edits that are judged together: more, and nobody looks at each.
MOST_EDITS: Final = 50

#: The decision for which each branch stands.
BRANCHES: Final[Mapping[str, Decision]] = {"approve": "approved", "redo": "redo", "reject": "rejected"}

#: Longest texts, in characters.
_NAME, _SUBJECT = 60, 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person chose; or what was to hold when the time was over."""

    chosen: tuple[str, ...]
    #: What stood in the form's field.
    prompt: str | None
    #: The person's name, ``None`` where nobody answered.
    by: str | None
    #: UTC, ISO 8601.
    at: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What follows from an answer."""

    #: All edits in their order, each with its review.
    records: list[EditRecord]
    #: Parameters of the edits to ask for instead.
    redo: list[dict[str, Any]]
    #: The prompt of all these; ``None`` where each keeps its own, or none is redone.
    prompt: str | None
    #: What a person should know: that not everything was done that was chosen.
    warnings: list[str]

    def those(self, decision: Decision) -> list[EditRecord]:
        """Return the edits of which that was decided."""
        return [one for one in self.records if one["review"]["decision"] == decision]


def labels(edits: Sequence[EditRecord]) -> list[str]:
    """Return what each edit is called among the options: no two alike."""
    return [f"{number}: {plain(_name(edit), _NAME)}" for number, edit in enumerate(edits, 1)]


def options(edits: Sequence[EditRecord]) -> list[str]:
    """Return what can be chosen. What nobody knows the request of cannot be asked for again."""
    known = any(edit["request"] is not None for edit in edits)
    if len(edits) == 1:
        return [APPROVE, *([REDO] if known else []), REJECT]
    return [*labels(edits), *([REDO_OTHERS] if known else []), REJECT_ALL]


def defaults(edits: Sequence[EditRecord], on_timeout: OnTimeout | None) -> list[str] | None:
    """Return what is taken as chosen where nobody answers in time; ``None`` where then nothing holds."""
    if on_timeout is None:
        return None
    if len(edits) == 1:
        return [APPROVE if on_timeout == "approve" else REJECT]
    return labels(edits) if on_timeout == "approve" else [REJECT_ALL]


def prompt(edit: EditRecord) -> str:
    """Return what was asked for; nothing where that is not known."""
    return "" if edit["request"] is None else str(edit["request"]["prompt"])


def common_prompt(edits: Sequence[EditRecord]) -> str:
    """Return the prompt of all edits; nothing where they have several."""
    prompts = {prompt(edit) for edit in edits}
    return prompts.pop() if len(prompts) == 1 else ""


def subject(edits: Sequence[EditRecord]) -> str:
    """Return a headline."""
    if len(edits) > 1:
        return plain(f"Approve {len(edits)} photo edits: {', '.join(map(_name, edits))}", _SUBJECT)
    asked = prompt(edits[0])
    return plain(f"Approve {plain(_name(edits[0]), _NAME)}{asked and ': '}{asked}", _SUBJECT)


def decide(edits: Sequence[EditRecord], answer: Answer) -> Decided:
    """Return what follows from an answer.

    A contradiction (*Reject all* beside anything else) rejects all: that publishes nothing and costs nothing.
    """
    decided, warnings = decisions(edits, answer.chosen), _warnings(edits, answer.chosen)
    typed = (optional(answer.prompt) or "").strip()
    changed = typed if typed != common_prompt(edits).strip() else ""
    records: list[EditRecord] = []
    redo, common = [], None
    for edit, decision in zip(edits, decided, strict=True):
        other = None
        if decision == "redo":
            asked = edit["request"] or {}
            other = changed if changed and changed != asked["prompt"] else None
            given = {name: value for name, value in asked.items() if value not in (None, [])}
            redo.append(given | {"prompt": other or asked["prompt"]})
            common = changed or (common_prompt(edits) or None)
        review: EditReview = {"decision": decision, "by": answer.by, "at": answer.at, "prompt": other}
        records.append(edit | {"review": review})
    return Decided(records, redo, common, warnings)


def decisions(edits: Sequence[EditRecord], chosen: Sequence[str]) -> list[Decision]:
    """Return what these options mean for each edit, in their order.

    A contradiction rejects all. What nobody knows the request of cannot be redone, and counts as rejected.
    """
    if _is_contradiction(edits, chosen):
        return ["rejected"] * len(edits)
    names = [APPROVE] if len(edits) == 1 else labels(edits)
    redone = bool({REDO, REDO_OTHERS} & set(chosen))
    return [
        "approved" if name in chosen else "redo" if redone and edit["request"] is not None else "rejected"
        for name, edit in zip(names, edits, strict=True)
    ]


def branches(value: Any) -> dict[str, tuple[str, ...]]:
    """Return the task ids of each branch.

    :raises AluoRequestInvalid: a key is no decision, or a value no task id.
    """
    if not isinstance(value, Mapping):
        raise AluoRequestInvalid("review", [Problem("branches", shown(value), f"an object of {_KEYS}")])
    found, problems = {}, []
    for key, given in value.items():
        ids = [given] if isinstance(given, str) else given
        if key not in BRANCHES:
            problems.append(Problem("branches", shown(key), _KEYS))
        elif not isinstance(ids, list | tuple) or not all(isinstance(one, str) and one for one in ids):
            problems.append(Problem(f"branches[{key!r}]", shown(given), "a task id, or a list of them"))
        else:
            found[key] = tuple(ids)
    if problems:
        raise AluoRequestInvalid("review", problems)
    return found


_KEYS: Final = f"the keys {', '.join(map(repr, BRANCHES))}, each with the ids of the tasks that then run"


def _is_contradiction(edits: Sequence[EditRecord], chosen: Sequence[str]) -> bool:
    return len(chosen) != 1 and (len(edits) == 1 or REJECT_ALL in chosen)


def _warnings(edits: Sequence[EditRecord], chosen: Sequence[str]) -> list[str]:
    """Return where :func:`decisions` are other than what was chosen."""
    if _is_contradiction(edits, chosen):
        both = " and ".join(map(repr, chosen)) or "nothing"
        return [f"{both} were chosen together: all edits count as rejected, none is redone"]
    names = [APPROVE] if len(edits) == 1 else labels(edits)
    redone = bool({REDO, REDO_OTHERS} & set(chosen))
    lost = [
        label
        for label, name, edit in zip(labels(edits), names, edits, strict=True)
        if redone and name not in chosen and edit["request"] is None
    ]
    return [f"what was asked for is not known, so these count as rejected: {', '.join(lost)}"] if lost else []


def _name(edit: EditRecord) -> str:
    """Return the name of an edit's first photo; else what else is known of it."""
    request = edit["request"]
    photo = "" if request is None else chained.first_name(request["image_urls"], request["image_files"])
    return photo or edit["aluo_task_id"] or "an edit without an id"
