"""The log on stderr: one line for one event, coloured on a terminal, or a JSON object."""

import datetime
import functools
import json
import logging
import sys
import time

from caelus import config, tracing

COLOURS = {"DEBUG": "36", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
# What a message carries from outside must neither start a line of its own nor drive the terminal.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def one_line(text: str) -> str:
    return text.translate(CONTROL)


def coloured(text: str, level: str) -> str:
    """`text` in its level's colour, where stderr is a terminal that may have colours."""
    if sys.stderr.isatty() and not config.no_color():
        return f"\x1b[{COLOURS[level]}m{text}\x1b[0m"
    return text


class LineFormatter(logging.Formatter):
    """The request's id is at the end of a line, in brackets."""

    def __init__(self):
        super().__init__()
        self._levels = {level: coloured(f"{level:<8}", level) for level in COLOURS}

    def format(self, record):
        request_id = tracing.present().request_id
        level = self._levels.get(record.levelname, record.levelname)
        line = f"{_second(int(record.created))} | {level} | {record.name} | "
        line += one_line(record.getMessage()) + (f" [{request_id}]" if request_id else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


@functools.lru_cache(1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


class JsonFormatter(logging.Formatter):
    """An object a line, for collectors of logs; what is not known of the work is left out."""

    def format(self, record):
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        told = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        work = tracing.present()._asdict()
        told |= {name: value for name, value in work.items() if value is not None}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


# What no line tells, and each would be made to find out.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
FORMATS = {"text": LineFormatter, "json": JsonFormatter}


def configure(level: str, form: str = "text") -> None:
    """Send the log to stderr at `level`; a second call replaces the first."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATS[form]())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("caelus").setLevel(level)
    # It warns of every request that has to wait for a thread: that is load, not a fault.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
