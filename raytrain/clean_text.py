"""Text of a cluster, a log or a file, made fit to be shown, without what rewrites a terminal or turns words around."""

from __future__ import annotations

import re

_ESCAPE_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[PX^_\]]|[\x90\x98\x9d\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS and kin: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # the short ones
)
# All of C0 and C1 but tab and newline, and the marks that turn the direction of text around.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def clean(text: str) -> str:
    """`text` without escape sequences and control characters; tabs and newlines stay, `\\r\\n` becomes `\\n`."""
    if not re.search(_CONTROL, text):
        return text
    return re.sub(_CONTROL, "", re.sub(_ESCAPE_SEQUENCE, "", text.replace("\r\n", "\n"), flags=re.DOTALL))
