"""The cluster that is reconciled: the one of CAELUS_TEST_KUBECONFIG, or the suite's Kubernetes API
as a process of its own, `python -m bench.cluster KUBECONFIG`.
"""

import contextlib
import os
import subprocess
import sys
import threading

from bench import place
from tests.kube import REAL, kubernetes


@contextlib.contextmanager
def kubeconfig(home: str):
    """The file that leads to it."""
    if REAL:
        yield os.path.abspath(REAL)
        return
    file = f"{home}/kubeconfig"
    with place.serving("bench.cluster", file):
        yield file


def remove(kubectl: str, *namespaces: str) -> None:
    """Leave a cluster that lives on as it was."""
    if REAL:
        words = ("delete", "namespace", "--ignore-not-found", *namespaces)
        subprocess.run([kubectl, *words], capture_output=True, check=True)


if __name__ == "__main__":
    with kubernetes() as api:
        api.kubeconfig(sys.argv[1])
        print(f"serving {api.url} Kubernetes", file=sys.stderr, flush=True)
        threading.Event().wait()
