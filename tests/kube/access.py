"""Who may do what: a request that bears the token of a ServiceAccount, by RBAC.

Only ClusterRoles bound by ClusterRoleBindings; discovery, and asking what one may do, is
everybody's. Without a token a request is an admin's.
"""

import base64
import json
from typing import NamedTuple

from tests.kube.errors import ApiError
from tests.kube.resources import ACCESS_REVIEWS, BINDINGS, CLUSTER_ROLES, ROLES, SECRETS

TOKEN = "kubernetes.io/service-account-token"  # a type of Secret
ACCOUNT = "kubernetes.io/service-account.name"  # an annotation of it
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class Asked(NamedTuple):
    verb: str
    group: str
    resource: str  # with a subresource: `pods/log`


def check(store, request, target) -> set[Asked]:
    """What the request asks for; ApiError if its account may not do that."""
    account = _account(store, request.token)
    if target.resource == ACCESS_REVIEWS:
        return set()
    granted, asked = _granted(store, account), _asked(store, request, target)
    for one in sorted(asked):
        if one not in granted:
            raise _refusal(account, one, target)
    if target.resource == ROLES and request.method != "DELETE" and request.body:
        _check_grant(account, granted, json.loads(request.body))
    return asked


def review(store, request, obj: dict) -> dict:
    """The status of a SelfSubjectAccessReview: whether who asks may do that in all namespaces."""
    if not request.token:
        return {"allowed": True}
    about = obj["spec"]["resourceAttributes"]
    names = (about["resource"], about.get("subresource"))
    asked = Asked(about["verb"], about.get("group", ""), "/".join(filter(None, names)))
    return {"allowed": asked in _granted(store, _account(store, request.token))}


def _asked(store, request, target):
    resource, namespace, name, part = target
    what = f"{resource.plural}/{part}" if part else resource.plural
    verbs = {_verb(request, name)}
    # To apply what is not there is to create it.
    if verbs == {"patch"} and "apply" in request.content_type:
        verbs |= set() if store.lookup(resource, namespace, name) else {"create"}
    return {Asked(verb, resource.group, what) for verb in verbs}


def _verb(request, name):
    if request.method == "GET" and not name:
        return "watch" if request.query.get("watch") in ("true", "1") else "list"
    if request.method == "DELETE":
        return "delete" if name else "deletecollection"
    return _VERBS.get(request.method, "get")


def _account(store, token):
    for secret in store.select(SECRETS):
        held = (secret.get("data") or {}).get("token")
        if secret["type"] == TOKEN and held and base64.b64decode(held).decode() == token:
            metadata = secret["metadata"]
            return metadata["namespace"], metadata["annotations"][ACCOUNT]
    raise ApiError(401, "Unauthorized", "Unauthorized")


def _granted(store, account):
    namespace, name = account
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    roles = {b["roleRef"]["name"] for b in store.select(BINDINGS) if subject in b["subjects"]}
    return {
        asked
        for role in store.select(CLUSTER_ROLES)
        if role["metadata"]["name"] in roles
        for asked in granted_by(role)
    }


def granted_by(role: dict) -> set[Asked]:
    return {
        Asked(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _refusal(account, asked, target):
    resource, namespace, name, _ = target
    what = f'{resource.title} "{name}"' if name else resource.title
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    return ApiError(
        403,
        "Forbidden",
        f'{what} is forbidden: User "{_user(account)}" cannot {asked.verb} resource '
        f'"{asked.resource}" in API group "{asked.group}" {scope}',
    )


def _user(account):
    return f"system:serviceaccount:{':'.join(account)}"


def _check_grant(account, granted, role):
    """Nobody may grant what they do not have."""
    more = sorted(granted_by(role | {"rules": role.get("rules") or []}) - granted)
    if more:
        first = more[0]
        raise ApiError(
            403,
            "Forbidden",
            f'roles.rbac.authorization.k8s.io "{role["metadata"]["name"]}" is forbidden: user '
            f'"{_user(account)}" (groups=["system:serviceaccounts" '
            f'"system:serviceaccounts:{account[0]}" "system:authenticated"]) is attempting to '
            f'grant RBAC permissions not currently held:\n{{APIGroups:["{first.group}"], '
            f'Resources:["{first.resource}"], Verbs:["{first.verb}"]}}',
        )
