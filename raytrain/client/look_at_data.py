"""Looks at a job's data on this machine, in a child process, which imports what the client does not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from raytrain.errors import Problem, RaytrainError, SpecError
from raytrain.spec.data_look import DataLook

if TYPE_CHECKING:
    from raytrain.spec.load import LoadedJob


def look_at_data(job: LoadedJob) -> DataLook:
    """What each column holds and becomes, and what is suspicious; the first 100,000 rows are read.

    A function of the user's that the rows come from is run.

    Raises:
        SpecError: the data cannot be read here.
        RaytrainError: the child process ended in another way, whose words it has written to stderr.
    """
    command = [sys.executable, "-m", "raytrain.data.look", str(job.folder)]
    done = subprocess.run(command, input=job.spec.model_dump_json(), stdout=subprocess.PIPE, text=True, check=False)
    said = json.loads(done.stdout) if done.stdout else {}
    if done.returncode == 0:
        return DataLook.from_dict(said)
    if not said:
        raise RaytrainError(Problem(got="a look at the data that failed", expected="one that ends", fix="see above"))
    raise SpecError(*(Problem(**problem) for problem in said["problems"]))
