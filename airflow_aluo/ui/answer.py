"""What the page is answered: the cards of one page, and how all of them stand."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import itemgetter
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.batch import progress
from airflow_aluo.gallery import TABS
from airflow_aluo.protocol.vocabulary import USUAL_SECONDS
from airflow_aluo.ui.cards import card
from airflow_aluo.ui.edits import ACTIVE, NOT_BEGUN, counted
from airflow_aluo.ui.reviews import MOST_WAITING, Reviews

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_aluo.ui.edits import Edit, Edits
    from airflow_aluo.ui.reviews import Review

    #: Credits of edits, by the edits' ``id()``, and whether they are estimates.
    _Paid = dict[int, tuple[float | None, bool]]

#: Seconds that an edit takes where none has ended yet.
_USUAL: Final = sum(USUAL_SECONDS) / len(USUAL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the page asks for."""

    task_id: str | None = None
    map_index: int | None = None
    state: str | None = None
    text: str | None = None
    offset: int = 0
    limit: int = 24


def answer(
    found: Edits, asked: Asked, *, now: datetime, one_run: bool, reviewers: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the answer, as plain JSON.

    :param one_run: it is about one run, not about several.
    :param reviewers: DAGs of which the approvals may be read.
    """
    scope = in_scope(found, asked)
    matched = filtered(scope, asked)
    usual, paid = _usual(scope), _paid(scope)
    allowed = set(reviewers)
    reviews = Reviews(one for one in found.instances if one.dag_id in allowed)
    page = matched[asked.offset : asked.offset + asked.limit]
    waiting = [one for one in _of_scope(reviews, scope, asked) if one.waiting]
    shown = _shown(reviews, page, waiting)
    places = {id(one): place for place, one in enumerate(shown)}
    live = any(edit.state == "running" for edit in scope) or any(
        one.state in ACTIVE or one.run_state in ACTIVE for one in found.instances
    )
    return {
        "cards": [_with_review(edit, reviews, places) for edit in page],
        "matched": len(matched),
        "totals": _totals(scope, paid),
        "tasks": sorted({edit.instance.task_id for edit in scope}),
        "usual_seconds": usual,
        "live": live,
        "now": now.isoformat(),
        "truncated": found.truncated,
        "cut": found.cut,
        "unreadable": found.unreadable,
        "reviews": [review.to_json() for review in shown],
        "reviews_waiting": len(waiting),
        "runs": [] if one_run else _runs(scope, paid),
        "progress": _progress(scope, usual) if live and one_run and scope else None,
        "run_tab": TABS["dag_run"],
    }


def in_scope(found: Edits, asked: Asked) -> list[Edit]:
    """Return the edits of the task instances that were asked for."""
    if asked.task_id is None and asked.map_index is None:
        return found.edits
    return [edit for edit in found.edits if edit.of(asked.task_id, asked.map_index)]


def filtered(scope: list[Edit], asked: Asked) -> list[Edit]:
    """Return those of these edits that are in a state, and whose prompt holds a text."""
    if asked.state:
        scope = [edit for edit in scope if edit.state == asked.state]
    if asked.text and (wanted := asked.text.casefold().strip()):
        scope = [edit for edit in scope if wanted in (edit.prompt or "").casefold()]
    return scope


def _with_review(edit: Edit, reviews: Reviews, places: Mapping[int, int]) -> dict[str, Any]:
    waiting = [(review, place) for review, place in reviews.of(edit) if review.waiting]
    review, place = waiting[-1] if waiting else (None, 0)
    return card(edit) | {
        "review": reviews.decided(edit) if review is None else None,
        "waiting_review": None if review is None else places[id(review)],
        "option": None if review is None else review.option(place),
    }


def _shown(reviews: Reviews, page: Iterable[Edit], waiting: Sequence[Review]) -> list[Review]:
    """Return the approvals to tell of: those of the page's edits, and the first of those that wait."""
    told = {id(review) for edit in page for review, _ in reviews.of(edit)}
    told |= {id(review) for review in waiting[:MOST_WAITING]}
    return [review for review in reviews.all if id(review) in told]


def _of_scope(reviews: Reviews, scope: Iterable[Edit], asked: Asked) -> list[Review]:
    """Return the approvals of the scope: those that are its own, and those of its edits."""
    if asked.task_id is None and asked.map_index is None:
        return reviews.all
    about = {id(review) for edit in scope for review, _ in reviews.of(edit)}
    return [
        review
        for review in reviews.all
        if id(review) in about
        or (
            asked.task_id in {None, review.instance.task_id}
            and asked.map_index in {None, review.instance.map_index}
        )
    ]


def _totals(scope: Sequence[Edit], paid: _Paid) -> dict[str, Any]:
    """Return how edits stand. ``paid``: see :func:`_paid`."""
    known = [paid[id(edit)] for edit in scope if id(edit) in paid]
    credits_ = [amount for amount, _ in known if amount is not None]
    return {
        "edits": len(scope),
        **counted(scope),
        "credits": sum(credits_) if credits_ else None,
        "credits_estimated": any(estimated for _, estimated in known),
        "mean_seconds": _mean(scope),
        "pictures": sum(edit.pictures for edit in scope),
    }


def _paid(scope: Iterable[Edit]) -> _Paid:
    """Return what edits cost, by their ``id()``: one that several runs tell of, where it was submitted."""
    paid: _Paid = {}
    same: defaultdict[str, list[Edit]] = defaultdict(list)
    for edit in scope:
        if edit.aluo_task_id is None:
            paid[id(edit)] = edit.credits
        else:
            same[edit.aluo_task_id].append(edit)
    for edits in same.values():
        # The newest run comes first: of two that are alike, the older one has submitted it.
        owner = min(reversed(edits), key=lambda edit: edit.origin)
        known = [edit.credits for edit in edits if edit.credits[0] is not None]
        paid[id(owner)] = min(known, key=itemgetter(1), default=(None, False))  # taken before estimated
    return paid


def _seconds(scope: Iterable[Edit]) -> list[float]:
    return [seconds for edit in scope if edit.state == "succeeded" and (seconds := edit.seconds) is not None]


def _mean(scope: Iterable[Edit]) -> float | None:
    known = _seconds(scope)
    return fmean(known) if known else None


def _usual(scope: Iterable[Edit]) -> float:
    known = _seconds(scope)
    return median(known) if known else _USUAL


def _runs(scope: Iterable[Edit], paid: _Paid) -> list[dict[str, Any]]:
    """Return how each run went, the oldest first."""
    by_run: dict[tuple[str, str], list[Edit]] = {}
    for edit in scope:
        by_run.setdefault(edit.instance.run, []).append(edit)
    return [_run(edits, paid) for edits in reversed(by_run.values())]


def _run(edits: Sequence[Edit], paid: _Paid) -> dict[str, Any]:
    first = edits[0].instance
    totals = _totals(edits, paid)
    return {
        "run_id": first.run_id,
        "dag_id": first.dag_id,
        "at": None if first.run_at is None else first.run_at.isoformat(),
        **{name: totals[name] for name in ("edits", "succeeded", "failed", "credits", "mean_seconds")},
    }


def _progress(scope: Sequence[Edit], usual: float) -> str:
    if any(edit.is_batch and edit.state == "running" for edit in scope):
        return "a batch is under way; its log tells how far it is"  # how many edits it has is not told here
    counts = counted(scope)
    queued = sum(not edit.places and edit.instance.state in NOT_BEGUN for edit in scope)
    counts_there = progress.Counts(
        edits=len(scope),
        done=counts["succeeded"],
        running=counts["running"] - queued,
        failed=counts["failed"] + counts["unknown"],
    )
    return progress.line(counts_there, _seconds_a_call(scope), usual)


def _seconds_a_call(scope: Iterable[Edit]) -> float:
    """Return how much of the time that has passed each edit took, halved: an edit takes two calls."""
    ended = [(edit.submitted_at, edit.completed_at) for edit in scope if edit.state == "succeeded"]
    begun = [begin for begin, _ in ended if begin is not None]
    done = [end for _, end in ended if end is not None]
    if not begun or not done:
        return 0.0
    return max((max(done) - min(begun)).total_seconds(), 0.0) / len(done) / 2
