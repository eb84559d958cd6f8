"""The pages about users, for admins: who there is, and what lets each of them in."""

from caelus.errors import CaelusError
from caelus.schemas import DAYS
from caelus.validation import from_text
from caelus.web.admin import HERE, ActionPage, AdminPage
from caelus.web.pages import PREFIX, go, sent, whole


class Users(AdminPage):
    def on_get(self, req, resp):
        self.show(req, resp, "admin_users.html", **self.listed(req, "list-users", "search"))


class NewUser(AdminPage):
    def on_get(self, req, resp):
        self.show(req, resp, "admin_new_user.html", fields={}, error=None)

    def on_post(self, req, resp):
        fields = dict(sent(req))
        email, is_admin = fields.get("email", "").strip(), "is_admin" in fields
        try:
            made = self.ask(req, "create-user", email=email, is_admin=is_admin)
        except CaelusError as e:
            self.show(req, resp, "admin_new_user.html", e.status, fields=fields, error=e)
            return
        go(f"{HERE}/users/{made['id']}", "user")


class User(ActionPage):
    """One user: role, login link, tokens, deployments, and the end of them."""

    template = "admin_user.html"

    def context(self, req, user_id) -> dict:
        user = self.ask(req, "get-user", user_id=user_id)
        deployments, more = self.rows(req, "list-deployments", user_id=user_id)
        tokens = self.ask(req, "list-tokens", user_id=user_id)
        nothing = {"error": None, "errors": {}, "fields": {}, "new_link": None, "new_token": None}
        found = {"user": user, "deployments": deployments, "more": more, "tokens": tokens}
        return nothing | found

    def _set_role(self, req, fields, user_id):
        is_admin = fields["action"] == "make-admin"
        self.ask(req, "update-user", user_id=user_id, is_admin=is_admin)
        if not is_admin and whole(user_id) == req.context.actor.user_id:
            go(PREFIX)  # whose page this is no more
        go(f"{HERE}/users/{user_id}", "admin" if is_admin else "plain")

    def _link(self, req, fields, user_id) -> dict:
        return {"new_link": self.ask(req, "create-login-link", user_id=user_id)}

    def _token(self, req, fields, user_id) -> dict:
        name = fields.get("name", "").strip() or None
        days = fields.get("expires_in_days", "").strip()
        expires = from_text(DAYS, days) if days else None  # 0 is for the operation to refuse
        made = self.ask(req, "create-token", user_id=user_id, name=name, expires_in_days=expires)
        return {"new_token": made}

    def _drop_token(self, req, fields, user_id):
        token_id = whole(fields.get("token_id")) or 0
        self.ask(req, "delete-token", user_id=user_id, token_id=token_id)
        go(f"{HERE}/users/{user_id}", "token-deleted")

    def _delete(self, req, fields, user_id):
        self.ask(req, "delete-user", user_id=user_id)
        go(f"{HERE}/users", "deleted")

    actions = {
        "make-admin": _set_role,
        "make-plain": _set_role,
        "link": _link,
        "token": _token,
        "drop-token": _drop_token,
        "delete": _delete,
    }


PAGES = {
    "/admin/users": Users,
    "/admin/users/new": NewUser,
    "/admin/users/{user_id}": User,
}
