"""What Caelus' API is measured against: a Falcon app on waitress with one constant document."""

import json
import sys

import falcon
import waitress

from caelus.database import HTTP_THREADS

DOCUMENT = {"id": 1, "email": "user1@example.org", "is_admin": False, "created_at": "2026-01-01Z"}


class Constant:
    def on_get(self, req, resp):
        resp.text = json.dumps(DOCUMENT)

    def on_post(self, req, resp):
        req.bounded_stream.read()
        resp.status = 201
        resp.text = json.dumps(DOCUMENT)


def main() -> None:
    app = falcon.App()
    app.add_sink(lambda req, resp: getattr(Constant(), f"on_{req.method.lower()}")(req, resp), "/")
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=HTTP_THREADS)
    print(f"serving http://127.0.0.1:{server.effective_port} bare", file=sys.stderr, flush=True)
    server.run()


if __name__ == "__main__":
    main()
