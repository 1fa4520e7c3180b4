"""Publish a set of pictures: readers see the old set or the new one, never half."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import AssetAlias, BaseOperator

from airflow_aluo.arguments import folder, known_at_run_time, told_of
from airflow_aluo.links import RunLink
from airflow_aluo.protocol import picture_set, record
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.naming import Name
from airflow_aluo.protocol.rendered import optional, shown
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.batch.results import ResultsPart
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.publishing import Published

__all__ = ["PhotoPublishOperator"]

_SUBJECT: Final = "publish"
_UNHARMED: Final = "nothing was published"

#: The new set, and the one before, whose readers may be at work.
_LEAST_SETS: Final = 2

#: One photo, one name, whoever edits it again.
_NAME: Final = "{photo}-{index}.{ext}"


class PhotoPublishOperator(BaseOperator):
    """Publishes landed pictures as one set, under stable names, and says so with an asset event.

    Pictures are copied to ``sets/<digest of the set>/<name>`` below the destination, and checked while they
    are; then ``manifest.json`` beside ``sets`` is replaced at one stroke (schema ``manifest``). A reader that
    reads it, and then what it names, sees the old set or the new one, never half. The pictures of older sets
    stay until they are no longer among the newest ``keep_sets``. A try that was killed has published nothing;
    the next one copies what is missing. To publish the same set again writes nothing.

    Edits of a batch that failed, or did not land, are left out, with a warning.

    Returns ``{"manifest": address, "set": digest, "pictures": number, "credits": taken by Aluo or None,
    "prompts_sha256": digest of the distinct prompts or None, "changed": True or False}``, the last of which
    tells whether the set is another one than before this run: a set that is published once more is told
    once more. Events of all assets among ``outlets`` have the same as their ``extra``; for an ``AssetAlias``
    the asset is the manifest's address (``file://…``, ``s3://bucket/…/manifest.json`` without its
    connection).

    Give it all edits at once: instances of a mapped task, and runs at the same time, would each publish a set
    of their own to the destination, and only the last one's would be seen.

    :param edits: what PhotoDownloadOperator returned, or PhotoEditBatchOperator with a ``destination``: one
        edit record or a list of them, also of mapped tasks (templated).
    :param destination: a local folder, or an object-storage address such as ``s3://conn@bucket/folder``
        (templated).
    :param name: of a picture in its set, and with slashes its folder there (templated). Placeholders:
        ``{photo}`` (name of the edit's first photo), ``{index}`` (of the picture in its edit, from 0;
        ``{index:03}`` is 000), ``{position}`` (of the edit in ``edits``, from 0), ``{aluo_task_id}``,
        ``{ext}``, ``{prompt}``, ``{dag_id}``, ``{run_id}``, ``{task_id}``.
    :param keep_sets: how many sets remain at the destination, the new one included; 2 or more.
    """

    template_fields: Sequence[str] = ("edits", "destination", "name")
    ui_color = "#e3f0ea"
    operator_extra_links = (RunLink(),)

    def __init__(
        self,
        *,
        edits: EditRecord | ResultsPart | Sequence[EditRecord | ResultsPart] | str | XComArg,
        destination: str | Path | ObjectStoragePath | XComArg,
        name: str = _NAME,
        keep_sets: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.edits = edits
        # Older Airflows take a path's resolve() for their own.
        self.destination = str(destination) if isinstance(destination, Path) else destination
        self.name = name
        self.keep_sets = keep_sets
        self._upstream = Upstream.of("edits", edits)
        _check(name=name, keep_sets=keep_sets, destination=self.destination)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped instances have in common when the DAG is parsed, too."""
        _check(**{name: kwargs.get(name, default) for name, default in _COMMON.items()})
        partial: OperatorPartial = super().partial(**kwargs)
        return partial

    def execute(self, context: Context) -> Published:
        """Copy what is not there yet, show the set, and tell the outlets."""
        from airflow_aluo import lineage
        from airflow_aluo.batch.results import expanded
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.publishing import announce, asset, publish
        from airflow_aluo.storage import Folder

        with final_errors_fail(), told_of(None, _UNHARMED):
            if self._upstream.task_ids or self.upstream_task_ids:
                self._upstream.check(self.edits, self.upstream_task_ids)
            elif optional(self.edits) is None:
                raise _not_landed([shown(self.edits)])
            folder("destination", self.destination)
            destination = str(self.destination)
            if any(isinstance(outlet, AssetAlias) for outlet in self.outlets):
                asset(Folder(destination).address(picture_set.MANIFEST))
            origin = _origin(context["ti"])
            found = picture_set.of(self._landed(expanded(self.edits)), _name(self.name), origin)
            published = publish(found, destination, origin, keep_sets=self.keep_sets, log=self.log)
        read = [picture.file["path"] for picture in found.pictures]
        lineage.report(AluoHook(), read, [published["manifest"]])
        announce(self.outlets, context, published)
        return published

    def _landed(self, given: Sequence[Any]) -> list[tuple[int, EditRecord]]:
        """Return the edits that have pictures here, each with its position, without those that failed.

        :raises AluoRequestInvalid: none has, or one has pictures that were not landed.
        """
        from airflow_aluo.batch.results import who, without_failed

        if addresses := [shown(item) for item in given if isinstance(item, str)]:
            raise _not_landed(addresses)
        edits = [record.parse(item) for item in given]
        found = without_failed(edits, subject=_SUBJECT, log=self.log)
        waiting = [f"{who(edit)} is {edit['status']} without files" for _, edit in found if not edit["files"]]
        if waiting or not edits:
            raise _not_landed(waiting or [shown(self.edits)])
        return found


def _not_landed(seen: Sequence[str]) -> AluoRequestInvalid:
    from airflow_aluo.batch.results import some

    expected = (
        "edits whose pictures were landed; put a PhotoDownloadOperator before this task, "
        "or give PhotoEditBatchOperator a destination"
    )
    return AluoRequestInvalid(_SUBJECT, [Problem("edits", some(seen), expected)])


def _origin(ti: Any) -> picture_set.Origin:
    index = -1 if ti.map_index is None else ti.map_index
    return picture_set.Origin(ti.dag_id, ti.run_id, ti.task_id, index)


def _name(template: Any) -> Name:
    return Name(template, allowed=picture_set.PLACEHOLDERS)


#: What mapped instances have in common, and what is right where they do not.
_COMMON: Final[dict[str, Any]] = {"name": _NAME, "keep_sets": _LEAST_SETS, "destination": "known later"}


def _check(*, name: Any, keep_sets: Any, destination: Any) -> None:
    """Check what can be judged when the DAG is parsed.

    :raises AluoRequestInvalid: a name that is none, a number of sets below 1, or no destination.
    """
    with told_of(_SUBJECT, _UNHARMED):
        folder("destination", destination)
        if not known_at_run_time(name, template_ext=()):
            _name(name)
    if not isinstance(keep_sets, int) or isinstance(keep_sets, bool) or keep_sets < _LEAST_SETS:
        expected = "a whole number of sets, 2 or more: readers of the set before go on with theirs"
        problem = Problem("keep_sets", shown(keep_sets), expected)
        raise AluoRequestInvalid(_SUBJECT, [problem], unharmed=_UNHARMED)
