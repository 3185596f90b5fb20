"""Takes checkpoints at epochs' ends and within epochs, and puts a training back to where one was taken.

Runs in: every Train worker; the chief hands what was taken to its `Writer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from time import monotonic, perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.protocol import Pause
from raytrain.run.run_status import Reason
from raytrain.spec.job import CheckpointSpec
from raytrain.worker import early_stopping
from raytrain.worker.checkpoints import callback_state, checkpoint
from raytrain.worker.checkpoints.checkpoint_writer import Save, Writer
from raytrain.worker.checkpoints.compile_state import CompileState
from raytrain.worker.checkpoints.gather_states import gather
from raytrain.worker.checkpoints.learning_rate_cut import FallBacks
from raytrain.worker.own_steps import make_ready
from raytrain.worker.reporting_hook import ReportingHook
from raytrain.worker.variables import accumulators, deciding, differing, host_copy, local

FLUSH_S = 120.0
_GOES_ON = (Reason.STOPPED_BY_USER, Pause.RESIZE)


class CheckpointHook(keras.callbacks.Callback):  # type: ignore[misc]
    """Restores `snapshot` before the first step and saves after each epoch; stands after the reporting hook.

    Args:
        others: the user's own callbacks, whose state travels with the checkpoint.
        writer: the chief's; None on every other rank.
    """

    def __init__(
        self,
        spec: CheckpointSpec,
        writer: Writer | None,
        reporting: ReportingHook,
        others: Sequence[keras.callbacks.Callback],
        strategy: tf.distribute.Strategy,
        *,
        rank: int,
        snapshot: checkpoint.Snapshot | None,
        fall_backs: FallBacks,
        compiled: CompileState,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._writer = writer
        self._reporting = reporting
        self._others = others
        self._made_with = [callback_state.given(callback) for callback in others]
        self._strategy = strategy
        self._rank = rank
        self._snapshot = snapshot
        self._fall_backs = fall_backs
        self._compiled = compiled
        self._saved_at = monotonic()
        self._arrays: list[checkpoint.Array] = []

    @property
    def is_due_by_time(self) -> bool:
        every_s = self._spec.every_seconds
        if every_s is None or self._writer is None or not self._writer.is_free:
            return False
        return monotonic() - self._saved_at >= every_s

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._snapshot is not None:
            make_ready(self.model)
            self._restore(self._snapshot)
            self._fall_backs.lower(self.model, done=self._snapshot.state.get("fall_backs", 0))
        else:
            self._fall_backs.lower(self.model, done=0)
        if self._writer is not None:  # new memory costs more than the copy, so it is had before the first save
            self._arrays = host_copy(self._strategy, deciding(self.model), [])

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Undoes what Keras and the callbacks have just done to begin an epoch that began before the cut."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None and snapshot.step:
            make_ready(self.model)
            self._restore(snapshot)
            self._fall_backs.lower(self.model, done=snapshot.state.get("fall_backs", 0))
            self._restore_own(snapshot)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        make_ready(self.model)
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        every = 1 if self._spec.every_steps is not None else self._spec.every_epochs
        if self._writer is None or self._reporting.is_diverged or not (last or (epoch + 1) % every == 0):
            return
        began = perf_counter()
        self._save(epoch, step=0, must=last, state={"callbacks": self._callback_states()}, ranks=[], began=began)

    def save_within(self, epoch: int, step: int, *, must: bool) -> None:
        """Saves after `step` steps of an epoch; every rank calls it at the same step.

        Args:
            must: wait for a write in progress rather than leave this one out.
        """
        began = perf_counter()
        make_ready(self.model)
        own = [np.asarray(local(self._strategy, variable)) for variable in differing(self.model)]
        state = {"callbacks": self._callback_states(), "clock": self._reporting.clock}
        ranks = gather(self._strategy, checkpoint.pack(own, state), rank=self._rank)
        if self._writer is not None:
            callbacks = {"callbacks": state["callbacks"]}
            self._save(epoch - 1, step=step, must=must, state=callbacks, ranks=ranks, began=began)

    def _callback_states(self) -> list[dict[str, Any]]:
        pairs = zip(self._others, self._made_with, strict=True)
        return [callback_state.state_of(callback, made_with=made_with) for callback, made_with in pairs]

    def _save(
        self, epoch: int, *, step: int, must: bool, state: dict[str, Any], ranks: list[bytes], began: float
    ) -> None:
        assert self._writer is not None
        if not self._writer.reclaim(patience_s=FLUSH_S if must else None):
            return
        reporting = self._reporting
        reporting.best.reclaim()
        variables = deciding(self.model)
        self._arrays = host_copy(self._strategy, variables, self._arrays)
        stopped = self.model.stop_training and reporting.reason not in _GOES_ON
        snapshot = checkpoint.Snapshot(
            epoch=epoch,
            step=step,
            variables=self._arrays,
            best_weights=reporting.best.lend(),
            state={
                "progress": vars(reporting.progress),
                "reports": [asdict(report) for report in reporting.reports],
                "elapsed_s": reporting.elapsed_s,
                "stopped": str(reporting.reason) if stopped and step == 0 else None,
                "fall_backs": self._fall_backs.count,
                "steps_per_epoch": self.params["steps"],
                "compiled": self._compiled.state(),
                **state,
            },
            callback_weights={
                place: weights
                for place, callback in enumerate(self._others)
                if (weights := callback_state.kept_weights(callback)) is not None
            },
            ranks=ranks,
        )
        learned = {id(variable) for variable in [*self.model.trainable_variables, *accumulators(self.model)]}
        weights = [array for variable, array in zip(variables, self._arrays, strict=True) if id(variable) in learned]
        self._writer.offer(Save(snapshot=snapshot, weights=weights, blocked_s=perf_counter() - began))
        self._saved_at = monotonic()

    def _restore(self, snapshot: checkpoint.Snapshot) -> None:
        """Puts back what is the same on every rank."""
        state = snapshot.state
        checkpoint.assign_all(deciding(self.model), snapshot.variables)
        self._reporting.progress = early_stopping.Progress(**state["progress"])
        self._reporting.best.arrays = snapshot.best_weights
        self._reporting.elapsed_before_s = state["elapsed_s"]
        self._reporting.reports.clear()
        self._reporting.reports.extend(snapshot.reports)
        if len(state["callbacks"]) != len(self._others):
            raise UserCodeError(
                Problem(
                    field="callbacks",
                    got=f"{len(self._others)} callbacks",
                    expected=f"{len(state['callbacks'])}, as in the run that is resumed: each has its state in a place",
                )
            )
        for callback, saved in zip(self._others, state["callbacks"], strict=True):
            callback_state.restore(callback, saved)
        for place, weights in snapshot.callback_weights.items():
            self._others[place].best_weights = weights

    def _restore_own(self, snapshot: checkpoint.Snapshot) -> None:
        """Puts back what this rank had of its own, within an epoch."""
        own, state = checkpoint.unpack(snapshot.ranks[self._rank])
        checkpoint.assign_all([local(self._strategy, variable) for variable in differing(self.model)], own)
        for callback, saved in zip(self._others, state["callbacks"], strict=True):
            callback_state.restore(callback, saved)
        self._reporting.go_on_within(snapshot.step, state["clock"])
