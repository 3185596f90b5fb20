"""Words of Keras' `fit` and of other tools' job files, and what says the same here.

Where a key of a job is unknown, this is asked before words that look like it: `validation_split` is near
`validation_freq`, and means another thing.
"""

from __future__ import annotations

from raytrain.spec.line_numbers import Loc, dotted

_LEFT_OUT = "leave it out"

# The words of Keras, of Ray Train, of a Ray runtime environment, of SkyPilot, Determined and Kubernetes, and of pandas.
_MEANT = {
    "batch_size": "fit.global_batch_size: 32, which is of all workers together",
    "validation_split": "data.validation: 0.2, a fraction of the rows that fit.seed draws",
    "validation_data": "data.validation: {csv: held.csv}, or another source",
    "validation_steps": f"{_LEFT_OUT}: all validation rows are looked at",
    "steps_per_epoch": f"{_LEFT_OUT}: an epoch is every train row once",
    "verbose": f"{_LEFT_OUT}: --quiet prints less",
    "sample_weight": "data.weight: COLUMN",
    "x": "data.features: [COLUMN, …]",
    "y": "data.label: COLUMN",
    "use_multiprocessing": f"{_LEFT_OUT}: Ray Data reads beside the training",
    "max_queue_size": f"{_LEFT_OUT}: Ray Data reads beside the training",
    "lr": "compile.optimizer: {name: adam, learning_rate: 0.001}",
    "learning_rate": "compile.optimizer: {name: adam, learning_rate: 0.001}",
    "num_epochs": "fit.epochs",
    "max_epochs": "fit.epochs",
    "num_workers": "scaling.workers",
    "num_nodes": "scaling.workers",
    "replicas": "scaling.workers",
    "slots_per_trial": "scaling.workers",
    "use_gpu": "scaling.gpus_per_worker: 1",
    "accelerators": "scaling.gpus_per_worker: 1",
    "gpus": "scaling.gpus_per_worker: 1",
    "resources": "scaling: {workers: 2, gpus_per_worker: 1}",
    "scaling_config": "scaling: {workers: 2, gpus_per_worker: 1}",
    "run_config": "storage, checkpoint and restarts",
    "checkpoint_config": "checkpoint: {keep: 2}",
    "num_to_keep": "checkpoint.keep",
    "failure_config": "restarts: {max: 3}",
    "max_failures": "restarts.max",
    "max_restarts": "restarts.max",
    "storage_path": "storage",
    "output_dir": "storage",
    "log_dir": "storage",
    "runtime_env": "environment: {pip: […], env_vars: {…}, exclude: […]}",
    "working_dir": f"{_LEFT_OUT}: the job's own folder is sent",
    "excludes": "environment.exclude: […]",
    "requirements": "environment.pip: […]",
    "setup": "environment.pip: […], as the cluster's own image has the rest",
    "envs": "environment.env_vars: {NAME: text}",
    "env": "environment.env_vars: {NAME: text}",
    "run": "model: FILE.py:FUNCTION, which makes the model; there is no command to run",
    "entrypoint": "model: FILE.py:FUNCTION, which makes the model; there is no command to run",
    "command": "model: FILE.py:FUNCTION, which makes the model; there is no command to run",
    "hyperparameters": "model_args: {…} for the model's own, fit and compile for the others",
    "searcher": f"{_LEFT_OUT}: fit.epochs and early_stopping say how long a run is",
    "dataset": "data.train: {csv: train.csv}, or another source",
    "target": "data.label: COLUMN",
    "delimiter": "separator",
    "sep": "separator",
    "skiprows": "skip",
    "na_values": "nulls",
    "names": "header: [NAME, …]",
    "quotechar": "quote",
    "index_col": f"{_LEFT_OUT}: row numbers without a name are no feature",
    "color_mode": "mode: RGB, L or P",
    "image_size": "size: [HEIGHT, WIDTH]",
    "target_size": "size: [HEIGHT, WIDTH]",
    "interpolation": "resample: bilinear or nearest",
}
# Where a word means another thing in one place, or is a field of ours in another.
_MEANT_THERE = {
    "fit.callbacks": "callbacks, beside fit: a list such as [{EarlyStopping: {patience: 2}}]",
    "fit.shuffle": "data.shuffle",
    "fit.workers": "scaling.workers",
}


def said_here(loc: Loc) -> str:
    """What to write for a key that another tool has; nothing for one that none has."""
    return _MEANT_THERE.get(dotted(loc)) or _MEANT.get(str(loc[-1]), "")
