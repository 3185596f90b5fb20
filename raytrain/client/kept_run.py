"""What is done with a run once it has ended, in Python: exported, extended, tagged, fetched, deleted."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from raytrain.client.registry import RunRecord

if TYPE_CHECKING:
    from raytrain.client.delete import Deletion
    from raytrain.client.fetch import Fetched
    from raytrain.client.read_job import Overrides
    from raytrain.client.tags import Tag
    from raytrain.export_protocol import Exported, Format


class KeptRun(ABC):
    """The methods of a run that has ended; all else of a run is `raytrain.client.run.Run`'s."""

    def __init__(self, record: RunRecord) -> None:
        self._known = record

    @property
    @abstractmethod
    def record(self) -> RunRecord:
        """Where the run is to be found."""

    def export(
        self,
        format: Format = "keras",
        *,
        output: str | os.PathLike[str] | None = None,
        without_preprocessing: bool = False,
        overwrite: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Exported:
        """Writes the model for another runtime, its preprocessing inside, into a folder with a card.

        Args:
            format: `keras`, `tf_saved_model`, `onnx`, `litert` or `weights`.
            output: the folder; in the run's directory when left out.
            without_preprocessing: the model alone, fed what the preprocessing steps make.
            overwrite: an export that is there is replaced, once the new one is proven.
            progress: told in a few words what is being done.

        Returns:
            Its `.artifact`, `.inputs`, `.outputs`, and the `.largest_difference` between its answers and the model's.

        Raises:
            UsageError: the format cannot express the model, a package is missing, or the folder is there.
            NotFound: the run has saved no model, or no rows of its data can be read here.
            UserCodeError: Keras cannot load the model, or the export answers otherwise than the model.

        Example:
            >>> exported = raytrain.get("@last").export("tf_saved_model", overwrite=True)
            >>> [each.name for each in exported.inputs], exported.largest_difference < 1e-5
            (['image'], True)
        """
        from raytrain.client.export import export

        return export(
            self.record,
            format=format,
            output=output,
            without_preprocessing=without_preprocessing,
            overwrite=overwrite,
            progress=progress,
        )

    def extend(
        self,
        *,
        overrides: Overrides | None = None,
        force: bool = False,
        address: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Self:
        """Goes on from the run's whole state, as a new run: weights, optimizer, callbacks, number of epochs, history.

        Args:
            overrides: fields to change, such as `{"fit.epochs": 50}`, which counts from this run's first epoch.
            force: take changes of the spec as meant.
            address: of a cluster's dashboard; where any job would go when left out.
            progress: told in a few words what is being done.

        Returns:
            The new run; this one is left as it is.

        Raises:
            UsageError: the run goes on, or no epoch is left to train.
            NotFound: it has no checkpoint.
            SpecError: the overrides change what decides the answer, or are refused.
            ClusterError: as `submit`.

        Example:
            >>> longer = raytrain.get("@last").extend(overrides={"fit.epochs": 50})  # doctest: +SKIP
            >>> longer.wait().extended_from  # doctest: +SKIP
            'digits-20261120-0715-4f2a'
        """
        from raytrain.client.extend import extend
        from raytrain.client.read_job import as_arguments

        submitted = extend(
            self.record,
            overrides=tuple(as_arguments(overrides or ())),
            force=force,
            address=address,
            progress=progress,
        )
        for warning in submitted.warnings:
            warnings.warn(warning, stacklevel=2)
        return type(self)(submitted.record)

    def tag(self, tag: str, *, remove: bool = False) -> Tag:
        """Gives the run a tag, by which `raytrain.get("NAME:TAG")` finds it; another run of the job loses it.

        Args:
            tag: such as `production`: small letters, digits, dots, dashes and underscores.
            remove: take the tag from the run.

        Returns:
            Its `.name`, `.tag`, `.run` and `.storage`, where it is kept.

        Raises:
            UsageError: that is no tag, or the run has saved no model.
            NotFound: the run does not have the tag that is removed, or its storage is out of sight here.

        Example:
            >>> raytrain.get("@last").tag("production").name
            'digits'
            >>> raytrain.get("digits:production") == raytrain.get("@last")
            True
            >>> raytrain.get("digits:production").tag("production", remove=True).tag
            'production'
        """
        from raytrain.client.tags import tag_run, untag_run

        return untag_run(self.record, tag) if remove else tag_run(self.record, tag)[0]

    def fetch(
        self,
        output: str | os.PathLike[str] | None = None,
        *,
        checkpoints: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Fetched:
        """Copies model, metrics, spec and logs to this machine, whole or not at all.

        Args:
            output: the new folder; the run's id in the current one when left out.
            checkpoints: these too.
            progress: told in a few words what is being done.

        Returns:
            Its `.directory`, which every command takes for the run, and `.model`.

        Raises:
            UsageError: the folder is there, or cannot be written.
            NotFound: the run's directory is out of sight here.

        Example:
            >>> import tempfile
            >>> fetched = raytrain.get("@last").fetch(f"{tempfile.mkdtemp()}/digits")
            >>> fetched.model.endswith("digits/model.keras")
            True
        """
        from raytrain.client.fetch import fetch

        return fetch(self.record, output=output, checkpoints=checkpoints, progress=progress)

    def delete(self, *, dry_run: bool = False) -> Deletion:
        """Deletes the run's directory, and forgets the run; asks nothing.

        Args:
            dry_run: tell what would be deleted; delete nothing.

        Returns:
            Its `.directory`, `.files` and `.bytes`.

        Raises:
            UsageError: the run goes on, or has a tag.
            NotFound: its directory is out of sight here.

        Example:
            >>> raytrain.get("@last").delete(dry_run=True).files > 5
            True
        """
        from raytrain.client.delete import deletion_of

        deletion = deletion_of(self.record)
        if not dry_run:
            deletion.carry_out()
        return deletion
