"""The page of who is logged in: who they are, and their API tokens."""

from caelus import naming, schemas, validation
from caelus.errors import CaelusError, NotFound
from caelus.web.pages import PREFIX, Page, go, sent
from caelus.web.refused import by_field

PLACE = f"{PREFIX}/account"


class Account(Page):
    def on_get(self, req, resp):
        self._show(req, resp, {"expires_in_days": "90"})

    def on_post(self, req, resp):
        """Make a token, and show it."""
        fields = dict(sent(req))
        days = fields.get("expires_in_days", "").strip()
        try:
            made = self.ask(
                req,
                "create-token",
                user_id=req.context.actor.user_id,
                name=fields.get("name", "").strip() or None,
                expires_in_days=validation.from_text(schemas.DAYS, days) if days else None,
            )
        except CaelusError as e:
            self._show(req, resp, fields, e)
            return
        self.show_once(req, resp, "token.html", token=made, url=self.settings.base_url)

    def _show(self, req, resp, fields: dict, error: CaelusError | None = None):
        tokens, more = self.rows(req, "list-tokens", user_id=req.context.actor.user_id)
        self.show(
            req,
            resp,
            "account.html",
            error.status if error else 200,
            tokens=tokens,
            more=more,
            fields=fields,
            error=error,
            errors=by_field(error),
            url=self.settings.base_url,
        )


class DeleteToken(Page):
    def on_get(self, req, resp, token_id):
        self.show(req, resp, "token_delete.html", token=self._token(req, token_id))

    def on_post(self, req, resp, token_id):
        ids = {"user_id": req.context.actor.user_id, "token_id": token_id}
        self.ask(req, "delete-token", **ids)
        go(PLACE, "deleted")

    def _token(self, req, token_id: str) -> dict:
        mine = self.ask(req, "list-tokens", user_id=req.context.actor.user_id)
        found = [token for token in mine if str(token["id"]) == token_id]
        if not found:
            raise NotFound(f"token {naming.printable(token_id)} not found")
        return found[0]
