"""The commands about the cluster as a whole."""

import sys

from caelus.startup import configure

KUBE_RBAC = """Print the account that Caelus needs in the cluster, and how to use it.

Usage:
  caelus kube-rbac

Example:
  caelus kube-rbac | kubectl apply --filename -
"""


def kube_rbac(words: dict) -> int:
    configure()
    from caelus import rbac, yamltext

    sys.stdout.write("".join(f"# {line}".rstrip() + "\n" for line in rbac.GUIDE.splitlines()))
    for obj in rbac.objects():
        sys.stdout.write("---\n")
        yamltext.dump(obj, sys.stdout)
    return 0


COMMANDS = {"kube-rbac": (KUBE_RBAC, kube_rbac)}
