"""What a model has been compiled with while it was trained, as JSON, and the model that is compiled so again.

Runs in: every Train worker.

A callback may unfreeze layers, give the model another optimizer or compile it anew; a process that goes on from a
checkpoint builds the model as the user's function does. So a checkpoint holds what has changed since: which layers are
trained, which were when the step was traced, and the compilation in Keras' own words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.worker.trainable_flags import flags_of, set_flags


class CompileState:
    """Remembers the model as the user's function built it.

    Args:
        callbacks: the user's own, alike on every rank; one may hold the optimizer that it compiles with.
        names: what the user's files define, which Keras cannot know.
    """

    def __init__(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], names: Mapping[str, Any]
    ) -> None:
        self._model = model
        self._callbacks = callbacks
        self._names = names
        self._flags = flags_of(model)
        self._compilation = model._compile_config
        self._optimizer = model.optimizer

    def state(self) -> dict[str, Any] | None:
        """What `restore` needs; None where nothing has changed."""
        model = self._model
        now = flags_of(model)
        traced = list(getattr(model.train_function, "traced_with", [])) or now
        anew = model._compile_config is not self._compilation or model.optimizer is not self._optimizer
        if not anew and now == traced == self._flags:
            return None
        return {
            "trainable": now,
            "traced": traced,
            "anew": anew,
            "compilation": _compilation_of(model) if anew else None,
            "held": self._places_of(model.optimizer) if anew else [],
        }

    def restore(self, state: Mapping[str, Any], strategy: tf.distribute.Strategy) -> None:
        """Makes the model as it was when its step was traced; `unfreeze` follows once that is done again.

        Raises:
            UserCodeError: Keras cannot make what it was compiled with.
        """
        set_flags(self._model, state["traced"])
        if not state["anew"]:
            return
        if state["compilation"] is None:
            raise _refusal("what it was compiled with cannot be saved as Keras saves it")
        try:
            with strategy.scope(), keras.saving.custom_object_scope(dict(self._names)):
                self._model.compile_from_config(state["compilation"])
        except Exception as error:
            raise _refusal(str(error).partition("\n")[0].partition(". ")[0]) from error
        for place, name in state["held"]:
            setattr(self._callbacks[place], name, self._model.optimizer)

    def unfreeze(self, state: Mapping[str, Any]) -> None:
        """Trains the layers that were, as far as steps that are traced from now on are concerned."""
        set_flags(self._model, state["trainable"])

    def _places_of(self, optimizer: keras.optimizers.Optimizer) -> list[tuple[int, str]]:
        return [
            (place, name)
            for place, callback in enumerate(self._callbacks)
            for name, value in vars(callback).items()
            if value is optimizer
        ]


def _compilation_of(model: keras.Model) -> dict[str, Any] | None:
    """The arguments of `compile` as JSON; None where Keras or the model could not go back from them."""
    kind, plain = type(model), keras.Model
    if kind.compile is not plain.compile and kind.compile_from_config is plain.compile_from_config:
        return None
    try:
        found: dict[str, Any] = dict(model.get_compile_config())
        if kind.compile is plain.compile:
            found["optimizer"] = keras.saving.serialize_keras_object(model.optimizer)
            found |= {"run_eagerly": model.run_eagerly, "jit_compile": model.jit_compile}
        json.dumps(found)
    except Exception:  # noqa: BLE001  what the user's `get_config` raises is no reason not to save
        return None
    return found


def _refusal(why: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="callbacks",
            got=f"a checkpoint of a model that a callback had compiled anew: {why}",
            expected="optimizers, losses and metrics of Keras' own, or registered ones with a get_config()",
            fix="@keras.saving.register_keras_serializable(); or make two runs of it, the second with init_from",
        )
    )
