"""Log records -> lines without secrets, whichever library wrote them."""

from __future__ import annotations

import logging

from lbi.storage.secrets import mask


class MaskingFormatter(logging.Formatter):
    """Masks the whole line, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))
