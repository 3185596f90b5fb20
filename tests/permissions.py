"""For tests in which a file's permissions are to hold, also for root, who runs them as a rule."""

from __future__ import annotations

import ctypes
import os

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def give_up_root() -> None:
    """To be called in a new process; nothing to do for any other user."""
    if os.getuid() != 0:
        return
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError("root cannot give up its right to open every file")
