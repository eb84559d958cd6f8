"""What helm 3.17, helm 4.3, kubectl and Kubernetes really said, and what it is taken for."""

import pytest

from caelus import wording

REFUSED = (
    "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
    "app:\n"
)
APPLY = "Error: server-side apply failed for object apps/web apps/v1, Kind=Deployment: "
ONE_ERROR = "Error: 1 error occurred:\n\t* "
FETCH = 'Error: failed to perform "FetchReference" on source: '
NO_REPOSITORY = (
    'Error: looks like "https://charts.example.org" is not a valid chart repository or cannot be '
    "reached: "
)
QUOTA = (
    'deployments.apps "web" is forbidden: exceeded quota: small, requested: count/deployments=1, '
    "used: secrets=5, limited: count/deployments=0\n"
)
STATEFUL = (
    'Error: UPGRADE FAILED: cannot patch "db" with kind StatefulSet: StatefulSet.apps "db" is '
    "invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', "
    "'ordinals', 'template' and 'minReadySeconds' are forbidden"
)
CLAIM = (
    'PersistentVolumeClaim "data" is invalid: spec.resources.requests.storage: Forbidden: '
    "field can not be less than status.capacity"
)

SAID = {
    "values_rejected": [
        (
            f"{REFUSED}- image: Invalid type. Expected: string, given: integer\n"
            "- replicas: Invalid type. Expected: integer, given: string\n",
            "/image",
            "the chart's schema refuses /image: Invalid type. Expected: string, given: integer",
        ),
        (
            f"{REFUSED}- at '/replicas': got string, want integer\n"
            "- at '/image': got number, want string\n",
            "/image",
            "the chart's schema refuses /image: got number, want string",
        ),
        (
            'The LimitRange "caelus-fence" is invalid: \n'
            '* spec.limits[0].defaultRequest[cpu]: Invalid value: resource.Quantity{s:"2"}: a '
            "request value 2 is greater than max value 1\n"
            '* spec.limits[0].default[cpu]: Invalid value: resource.Quantity{s:"1"}: default\n',
            "LimitRange caelus-fence",
            "LimitRange caelus-fence: the cluster does not take it as it is "
            "(spec.limits[0].defaultRequest[cpu])",
        ),
        (
            f"{REFUSED}- ingress.hosts.0: host is required\n",
            "/ingress/hosts/0",
            "the chart's schema refuses /ingress/hosts/0: host is required",
        ),
        (
            f"{REFUSED}- at '': missing property 'message'\n",
            "/",
            "the chart's schema refuses /: missing property 'message'",
        ),
        (
            f"{REFUSED}- at '': additional properties 'user' not allowed\n",
            "/",
            "the chart's schema refuses /: additional properties 'user' not allowed; "
            '"user_values": "bindings_only" in the template keeps what users set from it',
        ),
        (
            f"{REFUSED}- (root): Additional property user is not allowed\n",
            "/",
            "the chart's schema refuses /: Additional property user is not allowed; "
            '"user_values": "bindings_only" in the template keeps what users set from it',
        ),
        (
            f"{REFUSED}- at '': additional properties 'superuser' not allowed\n",
            "/",
            "the chart's schema refuses /: additional properties 'superuser' not allowed",
        ),
        (
            f"{REFUSED}- at '/n': validation failed\n  - at '/n': maximum: got 7.5, want 2\n",
            "/n",
            "the chart's schema refuses /n: maximum, want 2",
        ),
        (
            f"{REFUSED}- at '/p': 'a is required' does not match pattern '^b$'\n",
            "/p",
            "the chart's schema refuses /p: does not match pattern '^b$'",
        ),
        (
            "helm could not apply chart x 1: values don't meet the specifications of the schema(s) "
            "in the following chart(s): app: - a: Must be greater than or equal to 0 - b: odd",
            "/a",
            "the chart's schema refuses /a: Must be greater than or equal to 0",
        ),
        (
            "Error: execution error at (app/templates/x.yaml:1:3): bad password hello\n",
            "template app/templates/x.yaml:1",
            "template app/templates/x.yaml:1 can't be rendered with these values",
        ),
        (
            'Error: app/templates/x.yaml:1:10\n  executing "app/templates/x.yaml" at '
            "<.Values.nope.deep>:\n    nil pointer evaluating interface {}.deep\n",
            "template app/templates/x.yaml:1",
            "template app/templates/x.yaml:1 can't be rendered with these values",
        ),
        (
            "Error: chart requires kubeVersion: >=1.99 which is incompatible with Kubernetes v1.33",
            None,
            "the chart needs Kubernetes >=1.99, which the cluster is not",
        ),
        (
            "Error: unable to build kubernetes objects from release manifest: resource mapping not "
            'found for name: "x" namespace: "" from "": no matches for kind "Certificate" in '
            'version "cert-manager.io/v1"\nensure CRDs are installed first\n',
            "kind Certificate",
            "the chart needs kind Certificate of cert-manager.io/v1, "
            "which the cluster does not have",
        ),
        (
            f'{ONE_ERROR}Service "web" is invalid: spec.ports[0].port: Invalid value: 99999: bad\n',
            "Service web",
            "Service web: the cluster does not take it as it is (spec.ports[0].port)",
        ),
        (
            "Error: failed to create typed patch object (apps/web; apps/v1, Kind=Deployment): "
            ".spec.foo: field not declared in schema\n",
            "Deployment web",
            "Deployment web: the cluster does not take it as it is (.spec.foo)",
        ),
        (
            f'{ONE_ERROR}PersistentVolumeClaim in version "v1" cannot be handled as a '
            "PersistentVolumeClaim: quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n",
            "PersistentVolumeClaim",
            "an object of the release is not what the cluster can read",
        ),
        (
            "Error: server-side apply failed for object apps/data /v1, Kind=PersistentVolumeClaim: "
            "failed to convert new object to proper version: unable to convert unstructured object "
            "to /v1, Kind=PersistentVolumeClaim: quantities must match the regular expression '^x$'"
            "\n",
            "PersistentVolumeClaim data",
            "PersistentVolumeClaim data is not what the cluster can read",
        ),
    ],
    "chart_not_found": [
        (
            'Error: path "/srv/chart" not found\n',
            "chart /srv/chart",
            "chart /srv/chart is not there, or Caelus may not read it; "
            "its service sees no /root and no /home",
        ),
        ("Error: repo stable not found\n", "chart stable", "chart stable does not exist"),
        (
            'Error: chart "web" version "9" not found in https://x.example.org repository\n',
            "chart web",
            "chart web does not exist",
        ),
        (
            f"{FETCH}ghcr.io/charts/web:1.0.0: not found\n",
            "chart ghcr.io/charts/web:1.0.0",
            "chart ghcr.io/charts/web:1.0.0 does not exist",
        ),
        (
            f'{NO_REPOSITORY}Get "https://charts.example.org/index.yaml": dial tcp 192.0.2.1:443: '
            "connect: connection refused\n",
            "registry charts.example.org",
            "registry charts.example.org can't be reached (connection refused)",
        ),
        (
            f"{NO_REPOSITORY}failed to fetch https://me:hunter2@charts.example.org/index.yaml : "
            "404 Not Found\n",
            "registry charts.example.org",
            "registry charts.example.org does not give the chart (404)",
        ),
        (
            'Error: Get "https://x.example.org/web-1.tgz": dial tcp: lookup x.example.org: '
            "no such host\n",
            "registry x.example.org",
            "registry x.example.org can't be reached (no such host)",
        ),
        (
            f'{FETCH}Get "https://ghcr.io/v2/web/manifests/1": dial tcp: i/o timeout\n',
            "registry ghcr.io",
            "registry ghcr.io can't be reached (i/o timeout)",
        ),
        (
            'Error: failed to do request: Head "https://ghcr.io/v2/web/manifests/1": tls: failed '
            "to verify certificate: x509: certificate signed by unknown authority\n",
            "registry ghcr.io",
            "registry ghcr.io can't be reached (tls: failed to verify certificate)",
        ),
        (
            f'{FETCH}GET "https://ghcr.io/v2/web/manifests/1": response status code 500: odd\n',
            "registry ghcr.io",
            "registry ghcr.io does not give the chart (500)",
        ),
        (
            "helm could not apply chart /srv/web 1: Chart.yaml file is missing\n",
            "chart /srv/web",
            "chart /srv/web is not what helm can read (Chart.yaml file is missing)",
        ),
    ],
    "registry_auth": [
        (
            f"{NO_REPOSITORY}failed to fetch https://charts.example.org/index.yaml : "
            "401 Unauthorized\n",
            "registry charts.example.org",
            "registry charts.example.org refuses access (401 Unauthorized)",
        ),
        (
            "Error: failed to authorize: failed to fetch anonymous token: unexpected status from "
            "GET request to https://ghcr.io/token?scope=x: 403 Forbidden\n",
            "registry ghcr.io",
            "registry ghcr.io refuses access (403 Forbidden)",
        ),
        (
            f'{FETCH}GET "https://ghcr.io/v2/web/manifests/1": GET "https://ghcr.io/token?x=y": '
            "response status code 401: denied: requested access to the resource is denied\n",
            "registry ghcr.io",
            "registry ghcr.io refuses access (401)",
        ),
        (
            f'{FETCH}GET "https://ghcr.io/v2/web/manifests/1": basic credential not found\n',
            "registry ghcr.io",
            "registry ghcr.io refuses access (basic credential not found)",
        ),
        (
            "helm could not apply chart oci://ghcr.io/web 1: pull access denied, repository does "
            "not exist or may require authorization: no basic auth credentials\n",
            "chart oci://ghcr.io/web",
            "chart oci://ghcr.io/web refuses access (pull access denied)",
        ),
    ],
    "cluster_unreachable": [
        (
            'Error: Kubernetes cluster unreachable: Get "https://10.0.0.1:6443/version": dial tcp '
            "10.0.0.1:6443: connect: connection refused\n",
            "cluster 10.0.0.1:6443",
            "cluster 10.0.0.1:6443 can't be reached (connection refused)",
        ),
        (
            "The connection to the server 10.0.0.1:6443 was refused - did you specify the right "
            "host or port?\n",
            "cluster 10.0.0.1:6443",
            "cluster 10.0.0.1:6443 can't be reached (refused)",
        ),
        (
            "Unable to connect to the server: net/http: TLS handshake timeout\n",
            None,
            "the cluster can't be reached (TLS handshake)",
        ),
        (
            "error: You must be logged in to the server (Unauthorized)\n",
            None,
            "the cluster does not take the credentials of Caelus",
        ),
        (
            "error: failed to download openapi: the server has asked for the client to provide "
            "credentials; turn validation off\n",
            None,
            "the cluster does not take the credentials of Caelus",
        ),
        (
            "Error from server (ServiceUnavailable): the server is currently unable to handle the "
            "request\n",
            None,
            "the cluster can't be reached (currently unable to handle)",
        ),
        (
            f'{ONE_ERROR}Internal error occurred: failed calling webhook "v.example.org": failed '
            'to call webhook: Post "https://x.svc:443/v?timeout=10s": connection refused\n',
            "webhook v.example.org",
            "webhook v.example.org, which the cluster asks, does not answer",
        ),
    ],
    "quota_exceeded": [
        (
            said,
            "Deployment web",
            "Deployment web exceeds the quota small, requested: count/deployments=1, "
            "used: secrets=5, limited: count/deployments=0",
        )
        for said in (f"{ONE_ERROR}{QUOTA}", f"{APPLY}{QUOTA}")
    ]
    + [
        (
            f'{ONE_ERROR}pods "once" is forbidden: status unknown for quota: caelus-fence, '
            "resources: limits.memory,pods\n",
            "Pod once",
            "Pod once may not be made before the quota caelus-fence, resources: "
            "limits.memory,pods is counted",
        )
    ],
    "admission_denied": [
        (
            f'{ONE_ERROR}admission webhook "v.example.org" denied the request: no latest tags\n',
            "admission webhook v.example.org",
            "an object of the release is denied by admission webhook v.example.org: no latest tags",
        ),
        (
            f'{APPLY}admission webhook "v.example.org" denied the request without explanation\n',
            "Deployment web",
            "Deployment web is denied by admission webhook v.example.org",
        ),
        (
            f"{ONE_ERROR}deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' "
            "with binding 'few' denied request: failed expression: object.spec.replicas <= 5\n",
            "Deployment web",
            "Deployment web is denied by ValidatingAdmissionPolicy 'few': "
            "failed expression: object.spec.replicas <= 5",
        ),
        (
            f'{ONE_ERROR}persistentvolumeclaims "data" is forbidden: maximum storage usage per '
            "PersistentVolumeClaim is 1Gi, but request is 2Gi\n\t* another\n",
            "PersistentVolumeClaim data",
            "PersistentVolumeClaim data is forbidden: maximum storage usage per "
            "PersistentVolumeClaim is 1Gi, but request is 2Gi",
        ),
    ],
    "immutable_field": [
        (
            f'{APPLY}Deployment.apps "web" is invalid: spec.selector: Invalid value: '
            '{"matchLabels":{"a":"b"}}: field is immutable\n',
            "Deployment web",
            "Deployment web: spec.selector can't be changed in place",
        ),
        (STATEFUL, "StatefulSet db", "StatefulSet db: spec can't be changed in place"),
        (
            f"{ONE_ERROR}{CLAIM}",
            "PersistentVolumeClaim data",
            "PersistentVolumeClaim data: spec.resources.requests.storage can't be changed in place",
        ),
        (
            f'{ONE_ERROR}persistentvolumeclaims "data" is forbidden: only dynamically provisioned '
            "pvc can be resized and the storageclass that provisions the pvc must support resize\n",
            "PersistentVolumeClaim data",
            "PersistentVolumeClaim data can't be changed in place",
        ),
        (
            f'{ONE_ERROR}Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["None"]: '
            "may not change once set\n",
            "Service web",
            "Service web: spec.clusterIPs[0] can't be changed in place",
        ),
    ],
    "apply_conflict": [
        (
            "Error: UPGRADE FAILED: conflict occurred while applying object apps/web apps/v1, "
            'Kind=Deployment: Apply failed with 1 conflict: conflict with "kubectl-edit" using '
            "apps/v1: .spec.replicas\n",
            "Deployment web",
            "Deployment web is not this release's alone: "
            'conflict with "kubectl-edit" using apps/v1: .spec.replicas',
        ),
        (
            'Error: Unable to continue with install: ConfigMap "web" in namespace "apps" exists '
            "and cannot be imported into the current release: invalid ownership metadata\n",
            "ConfigMap web",
            "ConfigMap web is not this release's alone: exists and cannot be imported",
        ),
    ],
    "namespace_terminating": [
        (
            'Error: create: failed to create: secrets "sh.helm.release.v1.web.v1" is forbidden: '
            "unable to create new content in namespace apps because it is being terminated\n",
            "Namespace apps",
            "Namespace apps is still being deleted",
        ),
    ],
    "tool_missing": [
        (
            f"cannot run /opt/helm: {why}install helm on the PATH or set CAELUS_HELM",
            "program /opt/helm",
            "program /opt/helm can't be run",
        )
        for why in ("", "No such file or directory; ")
    ],
}


@pytest.mark.parametrize(
    ("code", "text", "thing", "sentence"),
    [(code, *row) for code, rows in SAID.items() for row in rows],
)
def test_a_refusal_is_understood(code, text, thing, sentence):
    assert wording.told(text) == (code, thing, sentence)


def test_the_order_of_several_refusals_does_not_matter():
    rules = ["- at '/b': got null, want string\n", "- at '/a': got null, want string\n"]
    assert wording.told(REFUSED + "".join(rules)) == wording.told(REFUSED + "".join(rules[::-1]))


@pytest.mark.parametrize(
    "rule",
    [
        "'HUNTER2' does not match pattern '^[a-z]+$'",
        "'HUNTER2' is not valid email: missing @",
        "maximum: got HUNTER2, want 2",
        "HUNTER2: a rule of tomorrow",
    ],
)
def test_a_rule_does_not_repeat_the_value(rule):
    assert "HUNTER2" not in str(wording.told(f"{REFUSED}- at '/p': {rule}\n"))


def test_a_wait_that_ended_settles_nothing():
    for text in (
        "Error: context deadline exceeded",
        "Error: resource Deployment/apps/web not ready. status: InProgress, message: Available: 0/1"
        "\ncontext deadline exceeded",
        "Error: client rate limiter Wait returned an error: context deadline exceeded",
        "Error: failed post-install: 1 error occurred:\n\t* job web-hook failed: Backoff",
    ):
        assert wording.told(text) is None
