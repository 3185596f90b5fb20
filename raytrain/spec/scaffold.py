"""`raytrain init NAME`: a commented job that runs, to be changed from there."""

from __future__ import annotations

from pathlib import Path

from raytrain.errors import Problem, UsageError
from raytrain.run.run_id import RUN_NAME
from raytrain.spec.strict_yaml import parse_scalar
from raytrain.spec.value_types import NAME_RULE

_JOB = """\
# A raytrain job. Check it with `raytrain validate NAME`, run it with `raytrain submit NAME`.
# Paths are relative to this folder, which is what gets uploaded. Any field can be given on the command line instead:
# `raytrain submit NAME --set fit.epochs=3 --set compile.optimizer.learning_rate=1e-2`.
name: NAME

# A function that returns a keras.Model. Instead: {layers: [...]}, {file: saved.keras} or {run: ID}.
model: model.py:build_model
model_args: {hidden: 128}              # given to the function by name
# init_from: base.keras                # transfer learning: a saved model, given to the function as `base`
# freeze: [base, "conv*"]              # layers that training leaves as they are, by name

# The arguments of keras.Model.compile; leave the section out when build_model compiles the model itself.
compile:
  optimizer: {name: adam, learning_rate: 1e-3}
  loss: sparse_categorical_crossentropy
  metrics: [accuracy]

# callbacks: model.py:callbacks        # a function that returns a list of Keras callbacks

data:
  train: {sklearn: digits}             # or {csv: "data/*.csv"}, {images: pictures/}, {python: data.py:load}, …
  validation: 0.1                      # a fraction of train, seen after each epoch; or {where: {fold: 4}}; or a source
  test: 0.1                            # the same, seen once, at the end
  features: image                      # a column, a list of columns, or {input: column(s)}
  label: digit                         # a column, or {output: column}
  # weight: importance                 # a column of sample weights
  # columns: {age: {fill: 0}}          # what its type does not say of a column: fill, pad, timestamp, dtype, size
  preprocess:                          # in this order, on every row
    - scale: {columns: [image], by: 0.0625}  # pixels from 0..16 to 0..1
    # - standardize: {columns: [...]}  # mean 0 and deviation 1, measured on the train rows
    # - one_hot: {columns: [...], classes: 10}
    # - python: model.py:preprocess    # preprocess(batch) -> batch, dicts of arrays
  shuffle: true                        # a new order each epoch, the same for the same seed
  stratify: false                      # true: validation and test keep the label's proportions
  # group: patient                     # or: rows that share this column's value stay in one of them
  cache: auto                          # between epochs the rows are kept shared, sharded, or not at all: streaming

fit:
  epochs: 5
  global_batch_size: 32                # the batch the optimizer sees, whatever the number of workers
  seed: 0                              # same seed, same result: on one worker or many
  # class_weight: {0: 1.0, 1: 2.0}
  # time_limit: 15m

early_stopping: {monitor: val_loss, patience: 3, min_delta: 0.0, restore_best: true}

scaling:
  workers: 2
  cpus_per_worker: 1
  gpus_per_worker: 0                   # 1: each worker drives one GPU

checkpoint: {every_epochs: 1, keep: 2}  # every_steps: 500 or every_seconds: 60 save within an epoch, too
restarts: {max: 3}                     # after a lost worker, from the last checkpoint
# watchdog: {step: 60}                 # seconds without a step before hung workers are started anew
# divergence: {action: fall_back}      # a loss that is no number: back to the last checkpoint, at half the rate

storage: ~/raytrain                    # the runs' directories; on several machines, a path that every one of them sees

environment:
  pip: []                              # packages that your own code imports, such as [nltk==3.9]
  env_vars: {}                         # text for your own code; no secrets
  exclude: []                          # files left out of the upload, as in .gitignore

# tracking: [tensorboard]              # also {mlflow: {uri: …}} and {wandb: {mode: offline}}
"""

_MODEL = '''\
"""The model of this job: a network with one hidden layer for 8x8 images of handwritten digits."""

import keras


def build_model(hidden: int = 128) -> keras.Model:
    """Maps images of shape (batch, 64), values 0 to 1, to the probabilities of the ten digits, (batch, 10)."""
    return keras.Sequential(
        [
            keras.Input(shape=(64,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
'''


def scaffold(name: str, parent: Path) -> list[Path]:
    """Writes `<parent>/<name>/` with a job.yaml and a model.py; returns the files.

    Raises:
        UsageError: the name cannot be a job's, one of the files is there already, or nothing can be written there.
    """
    if not RUN_NAME.fullmatch(name):
        fix = "such as `raytrain init my-job`"
        raise UsageError(Problem(got=f"the name {name!r}", expected=NAME_RULE, fix=fix))
    quoted = name if isinstance(parse_scalar(name), str) else f"'{name}'"  # `1e5` and `null` are names too
    files = {
        parent / name / "job.yaml": _JOB.replace("name: NAME", f"name: {quoted}").replace("NAME", name),
        parent / name / "model.py": _MODEL,
    }
    for file in files:
        if file.exists():
            fix = "choose another name; nothing was changed"
            raise UsageError(Problem(got=f"{file}, which exists", expected="a new job", fix=fix))
    try:
        (parent / name).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        got = f"{error.filename}: {error.strerror}"
        raise UsageError(Problem(got=got, expected="a folder that can be written to")) from None
    return list(files)
