"""The command that makes a service of Caelus."""

import os
import re
import shlex
import sys

from caelus import supervision
from caelus.errors import UsageError

SYSTEMD_UNIT = """Print a unit for systemd that runs `caelus serve`, and how to install it.

Usage:
  caelus systemd-unit [--user=NAME]

Options:
  --user=NAME  The account that it runs as. [caelus]

Example:
  caelus systemd-unit > /etc/systemd/system/caelus.service
"""
UNIT = """# Caelus as a service. As root:
#
#   useradd --system --home-dir /var/lib/caelus --shell /usr/sbin/nologin {user}
#   install -d -m 0750 -o root -g {user} /etc/caelus && cd /etc/caelus
#   {program} kube-rbac    # what it says at its top, here: it makes
#                          # caelus.token and caelus.kubeconfig
#   chown {user}: caelus.token caelus.kubeconfig
#   install -m 0640 -g {user} /dev/null caelus.env
#   {program} systemd-unit{option} > /etc/systemd/system/caelus.service
#   systemctl daemon-reload && systemctl enable --now caelus
#   journalctl --unit caelus    # the link that makes the first admin
#
# Settings go to /etc/caelus/caelus.env, as NAME=VALUE, and take effect with
# `systemctl restart caelus`. Root's command line works on the same data. With the service's
# account and settings, too, and as its user:
#
#   set -a; CAELUS_DATA_DIR=/var/lib/caelus KUBECONFIG=/etc/caelus/caelus.kubeconfig
#   . /etc/caelus/caelus.env; set +a
#   runuser -u {user} -- {program} doctor

[Unit]
Description=Caelus, instances of web apps on Kubernetes
Wants=network-online.target
After=network-online.target k3s.service

[Service]
Type=notify
# Not main: the one-file program has its loader as the main process.
NotifyAccess=all
ExecStart={program} serve
User={user}
Group={user}
Environment=CAELUS_DATA_DIR=/var/lib/caelus
Environment=KUBECONFIG=/etc/caelus/caelus.kubeconfig
Environment=HOME=/var/lib/caelus
EnvironmentFile=-/etc/caelus/caelus.env
StateDirectory=caelus
StateDirectoryMode=0700
UMask=0077
WatchdogSec=60
Restart=on-failure
RestartSec=5
# SIGTERM to Caelus alone: it ends its helm first, which then leaves no lock behind.
KillMode=mixed
TimeoutStopSec=45
MemoryMax=1G
TasksMax=512
LimitNOFILE=4096
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


def systemd_unit(words: dict) -> int:
    user = words["--user"] or "caelus"
    if not re.fullmatch("[a-z_][a-z0-9_-]{0,30}", user):
        raise UsageError(f"{user!r} can't be the name of an account; such as caelus")
    option = "" if user == "caelus" else f" --user={user}"
    sys.stdout.write(UNIT.format(user=user, option=option, program=_program()))
    return 0


def _program() -> str:
    """What runs this very Caelus, as systemd and a shell read it."""
    if supervision.IS_ONE_FILE:
        words = [sys.executable]
    elif os.path.basename(sys.argv[0]) in ("__main__.py", "caelus.py"):
        words = [sys.executable, os.path.abspath(sys.argv[0])]
    else:
        words = [os.path.abspath(sys.argv[0])]
    return shlex.join(words)


COMMANDS = {"systemd-unit": (SYSTEMD_UNIT, systemd_unit)}
