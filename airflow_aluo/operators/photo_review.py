"""Ask a person about edits before anything is done with them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.utils.skipmixin import SkipMixin
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from airflow_aluo import gallery, question, reviewed
from airflow_aluo.airflow_names import AirflowFailException, DownstreamTasksSkipped
from airflow_aluo.announced import REVIEWED
from airflow_aluo.arguments import choice, known_at_run_time, seconds_or_none, told_of
from airflow_aluo.branches import Branches, skip_in_group
from airflow_aluo.links import PhotoEditsLink
from airflow_aluo.protocol import chained, record, review, review_page
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import collection, optional, shown
from airflow_aluo.protocol.review import OnTimeout
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.batch.results import ResultsPart
    from airflow_aluo.protocol.decision import Decision
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.remembered_answer import RememberedAnswer

__all__ = ["PhotoReviewOperator"]

_SUBJECT: Final = "review"
_UNHARMED: Final = "nobody was asked"

#: What follows from the edits, so nobody may set it.
_FIXED: Final = ("options", "multiple", "defaults")

_OF_ONE: Final = "What a redo asks for."
_OF_MANY: Final = "What all that are redone ask for; left empty, or as it is, each keeps its own prompt."

#: Names a mapped review in the UI by its photo.
_BY_PHOTO: Final = "{{ task.photo_name }}"

#: What the standard provider calls the time to answer; older ones take the task's.
_TIMEOUT: Final = (
    "response_timeout"
    if "response_timeout" in inspect.signature(HITLOperator).parameters
    else "execution_timeout"
)


class PhotoReviewOperator(HITLOperator, SkipMixin):
    """Shows a person each edit before and after, and goes on with what was approved.

    The person answers under *Required Actions*, in the gallery or by Airflow's API. One edit: *Approve*,
    *Redo* or *Reject*. Several, at most 50: those that are chosen are approved, the others rejected, or
    redone where *Redo the others* was chosen, too; *Reject all* beside anything else rejects all, with a
    warning in the log. The form asks for a prompt for the redo; where the edits have several it is empty, and
    left so each keeps its own.

    Returns the approved records, each with its ``review`` (decision, by whom, when): the record itself where
    one was given, else a list. Further XComs: ``redo``, parameters of the edits to ask for anew, for
    ``PhotoEditBatchOperator(edits=review.output["redo"])``; ``prompt``, what they all ask for, if it is one;
    ``rejected`` and ``reviewed``, records. Edits of a batch that failed are left out, with a warning.

    Nothing is paid here. An answer is remembered: a retry after it does not ask again, a clear does. Airflow
    3.3.2 keeps the question over a clear: where the edits or ``assigned_users`` are others since, or what
    ``on_timeout`` says, the task fails rather than ask the old one, and says how to ask anew.

    :param edits: a finished edit's record, a list of records, what PhotoEditBatchOperator returned or one
        item of it (templated). Land the pictures before: people may take longer than their addresses live.
    :param subject: the headline (templated); by default the prompt, or how many edits there are.
    :param body: Markdown above the pictures (templated), at most 20,000 bytes.
    :param branches: which tasks directly after this one run after which decision: ``{"approve": "publish",
        "redo": ["again"], "reject": "tell"}``, by their full ids or those of task groups. Those of decisions
        that nobody took are skipped; a set may follow several; tasks that are not named always run. Left
        out, all tasks directly after this one are skipped where nothing was approved. In a mapped task group
        each instance skips its own tasks. A review that is mapped itself (``partial().expand()``) skips
        nothing, for what comes after it belongs to all its instances; it takes no branches.
    :param on_timeout: what holds if nobody answers within ``response_timeout``: ``approve`` or ``reject``
        (all); left out, the task fails at once, whatever its retries.
    :param response_timeout: time to wait for the answer, or its seconds; left out, for ever.
    :param map_index_template: names mapped reviews in the UI; by default after their photo.
    :param kwargs: ``assigned_users``, ``notifiers`` and the like, as Airflow's ``HITLOperator`` takes them.
    """

    template_fields: Sequence[str] = ("edits", *HITLOperator.template_fields)
    ui_color = "#e3f0ea"
    inherits_from_skipmixin = True
    operator_extra_links = (PhotoEditsLink(),)

    def __init__(
        self,
        *,
        edits: EditRecord | ResultsPart | Sequence[EditRecord | ResultsPart] | str | XComArg,
        subject: str = "",
        body: str | None = None,
        branches: Mapping[str, str | Sequence[str]] | None = None,
        on_timeout: OnTimeout | None = None,
        response_timeout: timedelta | float | None = None,
        map_index_template: str | None = _BY_PHOTO,
        **kwargs: Any,
    ) -> None:
        _check(body=body, branches=branches, on_timeout=on_timeout, **kwargs)
        if (time_limit := _time_limit(response_timeout)) is not None:
            kwargs[_TIMEOUT] = time_limit
        elif on_timeout is not None and kwargs.get("execution_timeout") is None:
            expected = "response_timeout, too; without it nobody is ever too late"
            problem = Problem("on_timeout", shown(on_timeout), expected)
            raise AluoRequestInvalid(_SUBJECT, [problem], unharmed=_UNHARMED)
        options = [review.APPROVE, review.REDO, review.REJECT]
        kwargs["map_index_template"] = map_index_template or _BY_PHOTO
        super().__init__(subject=subject, body=body, options=options, **kwargs)
        self.edits = edits
        self.branches = branches
        self.on_timeout = on_timeout
        self._upstream = Upstream.of("edits", edits)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped instances have in common when the DAG is parsed, too."""
        if kwargs.get("branches") is not None:
            expected = (
                "none, for a mapped review shares the tasks after it; map a task group with all of them"
            )
            problem = Problem("branches", shown(kwargs["branches"]), expected)
            raise AluoRequestInvalid(_SUBJECT, [problem], unharmed=_UNHARMED)
        _check(**kwargs)
        partial: OperatorPartial = super().partial(**kwargs)
        if partial.kwargs.get("map_index_template") is None:  # older Airflows do not ask __init__
            partial.kwargs["map_index_template"] = _BY_PHOTO
        return partial

    @property
    def photo_name(self) -> str:
        """The photo of the one edit under review, for the UI."""
        given = collection(self.edits)
        request = given.get("request") if isinstance(given, Mapping) else None
        if not isinstance(request, Mapping):
            return ""
        return chained.first_name(request.get("image_urls"), request.get("image_files"))

    def execute(self, context: Context) -> Any:
        """Ask, unless an earlier try has the answer already."""
        with final_errors_fail(), told_of(None, _UNHARMED):
            self._upstream.check(self.edits, self.upstream_task_ids)
            edits = reviewed.given(self.edits, self.log)
            self._branches(context)
            context["ti"].xcom_push(key=REVIEWED, value=edits)
            self._form(context, edits)
            answer = self._remembered(context, edits).recall()
            if answer is None:
                question.put(self, context["ti"].id, review_page.mark(edits))
        if answer is None:
            # This puts the question a second time, and would erase an answer that came since the first, some
            # milliseconds ago: the review would still wait, and be answered again. Only what Airflow answers
            # to a put tells which question it keeps, and its own operator drops that; to wait without it,
            # its notifiers, its time limit and its two ways to wait would have to be copied here.
            return super().execute(context)
        self.log.info("%s has answered an earlier try already", answer.by or "the timeout")
        return self._decided(context, edits, answer)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer."""
        with final_errors_fail():
            edits = reviewed.asked(context["ti"])
            self._form(context, edits)
            answer = _answer(self._said(context, event))
            self._remembered(context, edits).put(answer)
            return self._decided(context, edits, answer)

    def _said(self, context: Context, event: dict[str, Any]) -> Any:
        """Return what Airflow says that was answered.

        :raises AirflowFailException: nobody has, in time; a retry would ask, and wait, all over again.
        """
        try:
            return super().execute_complete(context, event)
        except HITLTimeoutError as error:
            raise AirflowFailException(
                f"nobody answered within {getattr(self, _TIMEOUT)}, so nothing was approved and nothing is "
                "redone; clear this task to ask again, or let on_timeout say what then holds"
            ) from error

    def _remembered(self, context: Context, edits: list[EditRecord]) -> RememberedAnswer:
        from airflow_aluo.remembered_answer import RememberedAnswer

        return RememberedAnswer(context, edits, self.log)

    def _form(self, context: Context, edits: list[EditRecord]) -> None:
        """Set what is asked. It is known only now, and each process has to set it anew."""
        ti = context["ti"]
        index = -1 if ti.map_index is None else ti.map_index

        def address(position: int, kind: str, number: int) -> str:
            return gallery.picture(ti.dag_id, ti.run_id, ti.task_id, index, position, kind, number)

        self.subject = optional(self.subject) or review.subject(edits)
        self.body = review_page.page(edits, address, review_page.introduction(self.body))
        self.options = review.options(edits)
        self.multiple = len(edits) > 1
        self.defaults = review.defaults(edits, self.on_timeout)
        prompt = Param(
            review.common_prompt(edits),
            description=_OF_ONE if len(edits) == 1 else _OF_MANY,
            type=["null", "string"],
            format="multiline",
            title="Prompt",
        )
        self.params = ParamsDict({"prompt": prompt})

    def _decided(self, context: Context, edits: list[EditRecord], answer: review.Answer) -> Any:
        """Tell what was decided, let the tasks of the branches run, and return what was approved."""
        decided = review.decide(edits, answer)
        for line in decided.warnings:
            self.log.warning("%s", line)
        approved, rejected = decided.those("approved"), decided.those("rejected")
        counts = (answer.by or "the timeout", len(approved), len(edits), len(decided.redo), len(rejected))
        self.log.info("%s approved %d of %d edits; %d are to be redone, %d were rejected", *counts)
        ti = context["ti"]
        ti.xcom_push(key=REVIEWED, value=decided.records)
        ti.xcom_push(key="redo", value=decided.redo)
        ti.xcom_push(key="prompt", value=decided.prompt)
        ti.xcom_push(key="rejected", value=rejected)
        given = collection(self.edits)
        one = isinstance(given, Mapping) and not chained.is_part(given)
        result = approved if not one else approved[0] if approved else None
        self._skip(context, {one["review"]["decision"] for one in decided.records}, result)
        return result

    def _skip(self, context: Context, taken: set[Decision], result: Any) -> None:
        """Let the tasks be skipped that are meant for decisions that nobody took."""
        ti, branches = context["ti"], self._branches(context)
        if not (tasks := branches.skipped(taken)):
            return
        ids = [task.task_id for task in tasks]
        self.log.info("skipping %s", ", ".join(ids))
        with suppress(DownstreamTasksSkipped):  # would lose the result; the scheduler finds the XCom
            self.skip(ti=ti, tasks=tasks)
        if branches.is_mapped:
            skip_in_group(ti, ids, result)

    def _branches(self, context: Context) -> Branches:
        return Branches(context["task"], context["ti"], self.branches)


def _check(*, body: Any = None, branches: Any = None, on_timeout: Any = None, **kwargs: Any) -> None:
    """Check what can be judged when the DAG is parsed.

    :raises AluoRequestInvalid: an argument is wrong already, or follows from the edits.
    """
    with told_of(_SUBJECT, _UNHARMED):
        if given := [name for name in _FIXED if name in kwargs]:
            expected = (
                "nothing, for it follows from the edits; on_timeout says what holds where nobody answers"
            )
            raise AluoRequestInvalid(
                _SUBJECT, [Problem(name, shown(kwargs[name]), expected) for name in given]
            )
        if not known_at_run_time(body, template_ext=PhotoReviewOperator.template_ext):
            review_page.introduction(body)
        if branches is not None:
            review.branches(branches)
        if on_timeout is not None:
            choice(OnTimeout)("on_timeout", on_timeout)


def _time_limit(response_timeout: timedelta | float | None) -> timedelta | None:
    """Return the time to answer.

    :raises AluoRequestInvalid: it is none.
    """
    with told_of(_SUBJECT, _UNHARMED):
        given = seconds_or_none("response_timeout", response_timeout)
    return None if given is None else timedelta(seconds=given)


def _answer(said: Mapping[str, Any]) -> review.Answer:
    """Return what Airflow says that was answered."""
    user = said["responded_by_user"]
    return review.Answer(
        chosen=tuple(said["chosen_options"]),
        prompt=said["params_input"].get("prompt"),
        by=None if user is None else user["name"],
        at=record.iso(said["responded_at"].timestamp()),
    )
