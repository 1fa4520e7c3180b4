"""``@task.photo_edit``: a function says what to change."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from airflow_aluo.edit_arguments import check_common
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import photo_edit
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import optional, shown
from airflow_aluo.task_errors import final_errors_fail

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator

    from airflow_aluo.paid_edit import PaidEdit
    from airflow_aluo.protocol.record import EditRecord

__all__ = ["photo_edit_task"]

#: Stands for the prompt until the function has run.
_RETURNED: Final = "(what the function returns)"
#: Names a mapped edit in the UI by what was asked: most functions are mapped over words, with one photo.
_BY_PROMPT: Final = "{{ task.prompt_in_short }}"
_IMAGES: Final = ("image_urls", "image_files")
_EXPECTED: Final = (
    f"a sentence that says what to change, or a dictionary of {', '.join(photo_edit.PARAMETERS)}"
)


class _PhotoEditDecoratedOperator(DecoratedOperator, PhotoEditOperator):
    """Asks a function what to change, and edits. See :func:`photo_edit_task`.

    :param python_callable: the function.
    :param op_args: its arguments (templated).
    :param op_kwargs: its named arguments (templated).
    :param prompt: what to change where the function does not say it (templated).
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *PhotoEditOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **PhotoEditOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.photo_edit"
    overwrite_rtif_after_execution = True  # the UI shows what the function said

    #: The function has run in this process, or its edit goes on.
    _asked = False

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        prompt: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            prompt=_RETURNED if prompt is None else prompt,
            **kwargs,
        )

    @property
    def prompt_in_short(self) -> str:
        """The prompt, for the UI, once the function has said it."""
        return str(self.prompt)[:80] if self._asked else ""

    def execute(self, context: Context) -> EditRecord:
        """Call the function, then do as the operator does."""
        with final_errors_fail():
            self._take(self._read(self._call(context)))
        found: EditRecord = super().execute(context)
        return found

    def _call(self, context: Context) -> Any:
        """Call the function with its arguments, and with what it names of the context."""
        given = {**context, **self.op_kwargs}
        parameters = inspect.signature(self.python_callable).parameters
        by_place = list(parameters)[: len(self.op_args)]
        takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        names = (given if takes_all else parameters).keys() - by_place
        return self.python_callable(*self.op_args, **{name: given[name] for name in names & given.keys()})

    def _read(self, returned: Any) -> dict[str, Any]:
        """Return the parameters that the function has set, as it has: strangers' text is no template.

        :raises AluoRequestInvalid: names the function.
        """
        function = f"{self.python_callable.__name__}()"
        subject = f"what {function} returned"
        if isinstance(returned, Mapping) and returned:
            if wrong := photo_edit.unknown(returned):
                raise AluoRequestInvalid(subject, wrong)
            return dict(returned)
        if not isinstance(returned, str) or optional(returned) is None:
            raise AluoRequestInvalid(subject, [Problem(function, shown(returned), _EXPECTED)])
        return {"prompt": returned}

    def _take(self, parameters: Mapping[str, Any]) -> None:
        """Let parameters override those of the decorator; photos of one kind replace those of the other."""
        self._asked = True
        if any(optional(parameters.get(name)) is not None for name in _IMAGES):
            self.image_urls = self.image_files = None
        if self.prompt == _RETURNED:
            self.prompt = ""
        for name, value in parameters.items():
            setattr(self, name, value)

    def _resumed(self, context: Context, ending: Callable[[PaidEdit, EditRecord], EditRecord]) -> EditRecord:
        """Go on without the function, which has run before the edit was submitted."""

        def shown_in_the_ui(paid: PaidEdit, pending: EditRecord) -> EditRecord:
            self._take(pending["request"] or {})
            return ending(paid, pending)

        return super()._resumed(context, shown_in_the_ui)

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters; until the function has run, it may yet name the photos."""
        known = super()._parameters()
        if not self._asked:
            known |= {name: "{{ returned }}" for name in _IMAGES if optional(known[name]) is None}
        return known


def photo_edit_task(
    python_callable: Callable[..., Any] | None = None, *, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """Make a photo edit of a function: ``@task.photo_edit(image_urls=photo.output, deferrable=True)``.

    The function returns the prompt, or a dictionary of any of the request's six parameters ``prompt``,
    ``image_urls``, ``image_files``, ``aspect_ratio``, ``output_format``, ``num_images``, which override the
    decorator's. The task returns the edit record, as ``PhotoEditOperator`` does, and takes all its arguments.

    The function runs once in each try, before anything is sent, and not again when the task is resumed. It
    is to say the same in every try: if an edit is under way and a retry asks for another one, the task stops
    with an unknown outcome instead of paying for both. What draws on chance, on the time or on a language
    model belongs into a task before this one, whose result stays.

    What it returns is no template: braces that strangers wrote stay braces. Its arguments are templates, and
    it may name what it needs of the context, as with Airflow's other decorators.

    :param python_callable: the function, where the decorator has no arguments of its own.
    :param multiple_outputs: push each part of the edit record as an XCom, too.
    :param kwargs: arguments of ``PhotoEditOperator``; ``prompt`` holds where the function names none. Mapped
        edits are named in the UI by their prompt, unless ``map_index_template`` says otherwise.
    :raises AluoRequestInvalid: an argument is wrong already.
    """
    check_common(kwargs)
    kwargs.setdefault("map_index_template", _BY_PROMPT)
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_PhotoEditDecoratedOperator,
        **kwargs,
    )
