"""The suite's Kubernetes API as a process of its own: `python -m bench.cluster KUBECONFIG`."""

import sys
import threading

from tests.kube import kubernetes

if __name__ == "__main__":
    with kubernetes() as api:
        api.kubeconfig(sys.argv[1])
        print(f"serving {api.url} Kubernetes", file=sys.stderr, flush=True)
        threading.Event().wait()
