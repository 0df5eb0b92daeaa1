"""Logs as JSON lines on stderr: stdout belongs to the protocol."""

from __future__ import annotations

import json
import logging
import sys

from mcp_gateway.render import clean


class JsonLines(logging.Formatter):
    """One JSON object a line, with the fields of ``runtime.log``, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "process": "gateway",
            "pid": record.process,
            "event": clean(record.getMessage()),
            "logger": record.name,
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def to_stderr(level: str) -> None:
    """Send every logger's records there; before the SDK would set up its own, coloured, format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
