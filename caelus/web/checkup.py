"""The doctor's page: the checkups run beside the requests, once at a time."""

import itertools
import threading
from typing import NamedTuple

from caelus import doctor
from caelus.config import Config
from caelus.documents import time
from caelus.findings import Check
from caelus.models import now
from caelus.process import Tools
from caelus.web.admin import HERE, AdminPage
from caelus.web.pages import go


class Result(NamedTuple):
    at: str
    checks: list[Check]

    def count(self, status: str) -> int:
        return sum(check.status == status for check in self.checks)

    def sections(self) -> list[tuple[str, list[Check]]]:
        """In the order in which they come."""
        grouped = itertools.groupby(self.checks, key=lambda check: check.section)
        return [(title, list(checks)) for title, checks in grouped]


class Checkup:
    """The last result, and the run that goes on, if one does: in a thread of its own."""

    def __init__(self, settings: Config):
        self._settings = settings
        self._lock = threading.Lock()
        self._run: threading.Thread | None = None
        self.result: Result | None = None

    def start(self) -> None:
        """Begin a run, unless one goes on."""
        with self._lock:
            if not self.runs():
                self._run = threading.Thread(target=self._look, name="checkup", daemon=True)
                self._run.start()

    def runs(self) -> bool:
        return self._run is not None and self._run.is_alive()

    def _look(self) -> None:
        tools = Tools(self._settings._replace(data_dir=doctor.NOWHERE))
        self.result = Result(time(now()), doctor.checks(self._settings, tools))


class Doctor(AdminPage):
    def __init__(self, settings: Config):
        super().__init__(settings)
        self.checkup = Checkup(settings)

    def on_get(self, req, resp):
        # In this order: a run that ends in between has its result shown.
        runs, result = self.checkup.runs(), self.checkup.result
        self.show(req, resp, "admin_doctor.html", runs=runs, result=result)

    def on_post(self, req, resp):
        self.checkup.start()
        go(f"{HERE}/doctor")


PAGES = {"/admin/doctor": Doctor}
