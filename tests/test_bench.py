"""The benchmark runs, and says what it measured beside what it is to reach."""

import re
import subprocess
import sys

import pytest

from tests.program import ROOT


def bench(*argv: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *argv], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_measures_the_start(clean_environment):
    rows = re.findall(
        r"^\| `([^`]+)`.* \| ([\d.]+) x .* \| (<= 10)? ?\|", bench("--quick", "startup"), re.M
    )
    assert [(what, goal) for what, _, goal in rows] == [
        ("--version", ""),
        ("list-users", "<= 10"),
        ("get-deployment", ""),
    ]
    assert all(float(times) > 1 for _, times, _ in rows)


def test_a_section_that_is_not_there_is_named():
    command = [sys.executable, "-m", "bench", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "unknown section 'nothing'" in done.stderr
