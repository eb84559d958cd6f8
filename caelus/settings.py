"""The table of settings: the README's and the manual's are tested against it."""

K3S_KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
INGRESS_NAMESPACES = "kube-system,ingress-nginx,traefik"  # the first is where k3s has its traefik
# RFC 1918, carriers' NAT (RFC 6598), link-local with the clouds' metadata; the same of IPv6.
PRIVATE_RANGES = (
    "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,169.254.0.0/16,fc00::/7,fe80::/10"
)
OTHERS = ("DATABASE_URL",)  # settings of a common name

SETTINGS = {  # name: (default, meaning)
    "CAELUS_DATABASE_URL": (
        "`caelus.db` in the data directory",
        "`sqlite:////path/file.db` or `postgresql://user:password@host/name`; "
        "`DATABASE_URL` is read too",
    ),
    "CAELUS_DATA_DIR": (
        "`/var/lib/caelus` for root, else `~/.local/share/caelus`",
        "the database, the key of secrets, the charts kept by digest and helm's caches",
    ),
    "CAELUS_SECRET_KEY": (
        "`secret.key` in the data directory, made when it is needed",
        "32 bytes in base64 that encrypt secrets (`openssl rand -base64 32`); several with "
        "commas between: the first encrypts, all decrypt",
    ),
    "CAELUS_HOST": ("`127.0.0.1`", "address to listen on (`serve --host`)"),
    "CAELUS_PORT": ("`8000`", "port to listen on; 0 takes a free one (`serve --port`)"),
    "CAELUS_PUBLIC_URL": (
        "`http://HOST:PORT`",
        "where browsers find Caelus, such as `https://caelus.example.org`; "
        "login links begin with it",
    ),
    "CAELUS_ALLOWED_HOSTS": (
        "none",
        "more host names that requests may be for, with commas; `*.example.org` takes in all below",
    ),
    "CAELUS_AUTH_HEADER": (
        "none",
        "header with the user's e-mail that an authenticating proxy sets, "
        "such as `X-Auth-Request-Email`",
    ),
    "CAELUS_TRUSTED_PROXIES": (
        "none",
        "addresses or CIDR ranges of proxies, with commas; "
        "`X-Forwarded-For` and `-Proto` are believed from them alone",
    ),
    "CAELUS_AUTO_CREATE_USERS": ("`0`", "`1` makes a user of each new e-mail in that header"),
    "CAELUS_WORKERS": ("`2`", "reconciler threads; 0 serves the API alone (`serve --workers`)"),
    "CAELUS_SIMULATE": (
        "`0`",
        "`1` simulates the cluster, helm and kubectl (`serve --simulate`): `caelus help demo`",
    ),
    "CAELUS_HELM": ("`helm`", "the helm program, version 3 or 4"),
    "CAELUS_KUBECTL": ("`kubectl`", "the kubectl program"),
    "CAELUS_DRIFT_INTERVAL": (
        "`600`",
        "seconds between sweeps for releases and namespaces that somebody changed; 0 is never",
    ),
    "CAELUS_DRIFT_DEEP_INTERVAL": (
        "`21600`",
        "seconds within which every object is compared once, too; 0 is never",
    ),
    "CAELUS_POD_SECURITY": (
        "`baseline`",
        "Pod Security level of deployments' namespaces: `privileged`, `baseline` or `restricted`",
    ),
    "CAELUS_NETWORK": (
        "`isolated`",
        "what deployments reach and are reached by: `isolated` or `open`",
    ),
    "CAELUS_INGRESS_NAMESPACES": (
        f"`{INGRESS_NAMESPACES}`",
        "namespaces of what forwards requests to deployments",
    ),
    "CAELUS_PRIVATE_RANGES": (
        f"`{PRIVATE_RANGES}`",
        "networks that isolated deployments may not reach",
    ),
    "CAELUS_QUOTA": ("none", 'ResourceQuota of each deployment, as JSON: `{"memory": "4Gi"}`'),
    "CAELUS_LIMITS": (
        "none",
        'LimitRange of its containers: `{"default": {"memory": "512Mi"}}`',
    ),
    "CAELUS_BACKUP_DIR": (
        "none",
        "where to back the SQLite database up, by and by (`serve --backup-dir`)",
    ),
    "CAELUS_BACKUP_EVERY": (
        "`24h`",
        "how old the newest backup there may become: `30m`, `24h`, `7d` (`serve --every`)",
    ),
    "CAELUS_BACKUP_KEEP": ("`14`", "how many of them are kept (`serve --keep`)"),
    "CAELUS_LOG_LEVEL": ("`INFO`", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"),
    "CAELUS_LOG_FORMAT": ("`text`", "`text`, or `json` for one object a line"),
    "CAELUS_METRICS_READERS": (
        "none",
        "addresses or CIDR ranges, with commas, that read `/metrics` without a token",
    ),
    "CAELUS_SERVER": (
        "this machine's database",
        "URL of the Caelus that operations are asked of (`caelus --server`)",
    ),
    "CAELUS_TOKEN": ("what `caelus login` stored", "token for that server"),
    "KUBECONFIG": (
        f"`{K3S_KUBECONFIG}` if readable, else kubectl's own",
        "which cluster, as kubectl reads it",
    ),
    "NO_COLOR": ("unset", "no colours in the log on a terminal"),
}
