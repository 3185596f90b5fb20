from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.errors import UserCodeError
from raytrain.protocol import Pause
from raytrain.run.run_status import Reason
from raytrain.spec.job import DivergenceSpec, EarlyStoppingSpec
from raytrain.worker.early_stopping import (
    DECISIONS,
    Decision,
    Mode,
    Progress,
    advance,
    after_divergence,
    decide,
    infer_mode,
    monitored,
)

NAN = math.nan


def follow(
    values: list[float], *, mode: Mode = "min", monitor: str = "val_loss", **rule: Any
) -> tuple[Progress, int | None]:
    """The progress after the epochs of these values, and the epoch after which training ended."""
    spec = EarlyStoppingSpec(monitor=monitor, **rule)
    progress = Progress()
    for epoch, value in enumerate(values):
        progress = advance(
            progress,
            epoch=epoch,
            value=value,
            mode=mode,
            min_delta=spec.min_delta,
            start_from_epoch=spec.start_from_epoch,
        )
        decision = decide(
            spec,
            progress,
            mode=mode,
            metrics={monitor: value},
            elapsed_s=0.0,
            time_limit_s=None,
        )
        if decision is not None:
            return progress, epoch
    return progress, None


@pytest.mark.parametrize(
    ("values", "rule", "stopped", "best"),
    [
        pytest.param([3, 2, 1, 0], {}, None, 3, id="ever better"),
        pytest.param([3, 3], {}, 1, 0, id="patience 0 ends at the first epoch that is no better"),
        pytest.param([3], {}, None, 0, id="one epoch alone is the best there is"),
        pytest.param([3, 4, 4, 1], {"patience": 2}, 2, 0, id="patience 2 ends after two"),
        pytest.param([3, 4, 2, 4, 4], {"patience": 2}, 4, 2, id="a new best starts the wait again"),
        pytest.param([3, 4, 4, 4], {"patience": 4}, None, 0, id="patience that is not used up"),
        pytest.param([1, 2, 3], {"mode": "max"}, None, 2, id="max"),
        pytest.param([1, 1, 0], {"mode": "max", "patience": 2}, 2, 0, id="max, no better"),
        pytest.param([3, 2.75, 2.5, 2.5], {"min_delta": 0.5, "patience": 3}, 3, 0, id="better, but by too little"),
        pytest.param([3, 2.75, 2.25], {"min_delta": 0.5, "patience": 2}, None, 2, id="added up since the best"),
        pytest.param([3, 2.5], {"min_delta": 0.5}, 1, 0, id="min_delta itself is not enough"),
        pytest.param([1, 1.25, 1.75], {"mode": "max", "min_delta": 0.5, "patience": 2}, None, 2, id="min_delta, max"),
        pytest.param([1, 9, 8, 8], {"start_from_epoch": 1}, 3, 2, id="epochs before the start are not looked at"),
        pytest.param([1, 9, 9], {"start_from_epoch": 9}, None, None, id="a start that never comes"),
        pytest.param([NAN, NAN], {"patience": 2}, 1, None, id="NaN alone"),
        pytest.param([NAN, 3, NAN, NAN], {"patience": 2}, 3, 1, id="NaN is never better"),
        pytest.param([3, NAN, 2], {"patience": 2}, None, 2, id="a number after NaN"),
        pytest.param([math.inf, 5], {}, None, 1, id="infinity is a value like any other"),
    ],
)
def test_patience(values: list[float], rule: dict[str, Any], stopped: int | None, best: int | None) -> None:
    rule = dict(rule)
    progress, epoch = follow(values, mode=rule.pop("mode", "min"), **rule)
    assert epoch == stopped
    assert progress.best_epoch == best
    assert progress.best_value == (None if best is None else values[best])


VALUES = st.lists(st.sampled_from([index / 10 for index in range(12)]), min_size=1, max_size=15)


def test_patience_is_that_of_keras() -> None:
    """With tenths, which are not exact, a comparison must round as Keras' does."""
    from keras.callbacks import EarlyStopping

    class Model:
        """Stands for a model, of which the callback sets this."""

        stop_training = False

    @given(
        values=VALUES,
        mode=st.sampled_from(["min", "max"]),
        patience=st.integers(0, 4),
        min_delta=st.sampled_from([0.0, 0.1, 0.2, 0.3]),
        start=st.integers(0, 4),
    )
    def compare(values: list[float], mode: Mode, patience: int, min_delta: float, start: int) -> None:
        theirs = EarlyStopping(
            monitor="val_loss", mode=mode, patience=patience, min_delta=min_delta, start_from_epoch=start
        )
        model = Model()
        theirs.set_model(model)
        theirs.on_train_begin()
        stopped = None
        for epoch, value in enumerate(values):
            theirs.on_epoch_end(epoch, {"val_loss": value})
            if model.stop_training:
                stopped = epoch
                break
        progress, epoch_of_ours = follow(
            values, mode=mode, patience=patience, min_delta=min_delta, start_from_epoch=start
        )
        assert epoch_of_ours == stopped
        if progress.best_epoch is not None:
            assert progress.best_value == theirs.best
            assert progress.waited == theirs.wait

    compare()


@given(values=VALUES, cut=st.integers(0, 15), mode=st.sampled_from(["min", "max"]))
def test_progress_that_was_written_down_and_read_again_goes_on_as_if_never_cut(
    values: list[float], cut: int, mode: Mode
) -> None:
    def go_on(progress: Progress, start: int, stop: int) -> Progress:
        for epoch in range(start, stop):
            progress = advance(progress, epoch=epoch, value=values[epoch], mode=mode, min_delta=0.1)
        return progress

    cut = min(cut, len(values))
    read_again = Progress(**vars(go_on(Progress(), 0, cut)))
    assert go_on(read_again, cut, len(values)) == go_on(Progress(), 0, len(values))


@pytest.mark.parametrize(
    ("mode", "value", "reached"),
    [
        *(("min", 0.1, True), ("min", 0.05, True), ("min", 0.2, False), ("min", NAN, False)),
        *(("max", 0.1, True), ("max", 0.2, True), ("max", 0.05, False), ("max", NAN, False)),
    ],
)
def test_target(mode: Mode, value: float, reached: bool) -> None:
    decision = decide(
        EarlyStoppingSpec(monitor="loss_of_mine", patience=9, target=0.1),
        Progress(best_value=value, best_epoch=0),
        mode=mode,
        metrics={"loss_of_mine": value},
        elapsed_s=0.0,
        time_limit_s=None,
    )
    assert decision == (
        Decision(reason=Reason.TARGET_REACHED, text=f"loss_of_mine {value:g} reached 0.1") if reached else None
    )


def end(rule: EarlyStoppingSpec | None = None, progress: Progress | None = None, **told: Any) -> Decision | None:
    known: dict[str, Any] = {"metrics": {"loss": 1.0}, "elapsed_s": 0.0, "time_limit_s": None}
    return decide(rule, progress or Progress(), mode="min", **(known | told))


PATIENT = EarlyStoppingSpec(monitor="loss", patience=2)
IMPATIENT = Progress(best_value=0.5, best_epoch=3, waited=2)


@pytest.mark.parametrize(
    ("rule", "progress", "told", "reason", "text"),
    [
        pytest.param(None, None, {}, None, "", id="nothing to end for"),
        pytest.param(None, IMPATIENT, {}, None, "", id="no rule"),
        pytest.param(
            PATIENT, IMPATIENT, {}, "early_stopped", "loss no better than 0.5 for 2 epochs (patience 2)", id="p"
        ),
        pytest.param(
            PATIENT,
            Progress(waited=2),
            {},
            "early_stopped",
            "loss no better than none for 2 epochs (patience 2)",
            id="no",
        ),
        pytest.param(None, None, {"metrics": {"loss": NAN}}, "diverged", "the loss is nan", id="NaN"),
        pytest.param(None, None, {"metrics": {"loss": -math.inf}}, "diverged", "the loss is -inf", id="infinity"),
        pytest.param(None, None, {"metrics": {}}, None, "", id="no loss at all"),
        pytest.param(
            None, None, {"weights_finite": False}, "diverged", "a weight is no finite number", id="weights alone"
        ),
        pytest.param(None, None, {"elapsed_s": 9.0, "time_limit_s": 10.0}, None, "", id="within the limit"),
        pytest.param(
            None, None, {"elapsed_s": 10.0, "time_limit_s": 10.0}, "time_limit", "10 s passed (limit 10 s)", id="limit"
        ),
        pytest.param(None, None, {"asked": "stop"}, "stopped_by_user", "a stop was asked for", id="stop"),
        pytest.param(
            PATIENT,
            IMPATIENT,
            {"asked": "stop"},
            "early_stopped",
            "loss no better than 0.5 for 2 epochs (patience 2)",
            id="patience before a stop",
        ),
        pytest.param(
            PATIENT, IMPATIENT, {"metrics": {"loss": NAN}, "asked": "stop"}, "diverged", "the loss is nan", id="all"
        ),
        pytest.param(
            PATIENT,
            IMPATIENT,
            {"elapsed_s": 1.0, "time_limit_s": 0.5},
            "early_stopped",
            "loss no better than 0.5 for 2 epochs (patience 2)",
            id="patience before the limit",
        ),
    ],
)
def test_decide(
    rule: EarlyStoppingSpec | None, progress: Progress | None, told: dict[str, Any], reason: str | None, text: str
) -> None:
    expected = None if reason is None else Decision(reason=Reason(reason), text=text)
    assert end(rule, progress, **told) == expected


def test_what_ends_training_for_good_outweighs_what_it_can_go_on_from() -> None:
    assert len(set(DECISIONS)) == len(DECISIONS) == 7
    assert DECISIONS[-2:] == (Reason.STOPPED_BY_USER, Pause.RESIZE)


@pytest.mark.parametrize(
    ("monitor", "directions", "mode"),
    [
        ("loss", {"loss": "down"}, "min"),
        ("val_loss", {"loss": "down"}, "min"),
        ("val_score", {"score": "up"}, "max"),
        ("val_accuracy", {"accuracy": "down"}, "min"),
        ("accuracy", {}, "max"),
        ("val_auc_2", {"auc_2": None}, "max"),
        ("val_Precision", {}, "max"),
        ("val_f1_score", {}, "max"),
        ("mean_io_u", {}, "min"),
        ("val_mae", {}, "min"),
        ("out_loss", {}, "min"),
    ],
)
def test_infer_mode(monitor: str, directions: dict[str, str | None], mode: Mode) -> None:
    assert infer_mode(monitor, directions) == mode


def test_a_monitor_that_was_not_computed_is_refused_with_those_that_were() -> None:
    with pytest.raises(UserCodeError, match="got `val_acc`, expected one of accuracy, loss, val_accuracy"):
        monitored({"loss": 1.0, "val_accuracy": 0.5, "accuracy": 0.5}, "val_acc")
    assert monitored({"loss": 1.0}, "loss") == 1.0


def test_a_resize_ends_the_group_unless_the_run_ends_anyway() -> None:
    resized = end(asked="resize")
    assert resized is not None
    assert resized.reason is Pause.RESIZE
    early = end(PATIENT, IMPATIENT, asked="resize")
    assert early is not None
    assert early.reason is Reason.EARLY_STOPPED


@pytest.mark.parametrize(
    ("action", "fall_backs", "follows"),
    [
        ("stop", 0, Reason.DIVERGED),
        ("fall_back", 0, Pause.FALL_BACK),
        ("fall_back", 1, Pause.FALL_BACK),
        ("fall_back", 2, Reason.DIVERGED),
    ],
)
def test_what_follows_a_divergence(
    action: Literal["stop", "fall_back"], fall_backs: int, follows: Reason | Pause
) -> None:
    assert after_divergence(DivergenceSpec(action=action, max=2), fall_backs=fall_backs) is follows
