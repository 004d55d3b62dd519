"""OAuth endpoints: token, revoke, userinfo and the identity URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from rtssim.interface import OrgError
from rtssim.login.accounts import OAuthError

if TYPE_CHECKING:
    from rtssim.faults import Faults
    from rtssim.limits import Limits
    from rtssim.login.accounts import Accounts, User
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

NO_STORE = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}
HTML_ERROR = (
    "<html><head><title>Error</title></head><body>An internal server error has occurred</body></html>"
)


class OAuth:
    """Answers `/services/oauth2` and `/id`."""

    def __init__(
        self, org: Org, accounts: Accounts, limits: Limits, faults: Faults, switches: ApiSwitches
    ) -> None:
        self._org = org
        self._accounts = accounts
        self._limits = limits
        self._faults = faults
        self._switches = switches

    def routes(self, app: web.Application) -> None:
        """Serve the endpoints."""
        app.router.add_post("/services/oauth2/token", self.token)
        app.router.add_route("*", "/services/oauth2/revoke", self.revoke)
        app.router.add_route("*", "/services/oauth2/userinfo", self.userinfo)
        app.router.add_get("/id/{org}/{user}", self.identity)

    async def token(self, request: web.Request) -> web.Response:
        """Answer the OAuth token endpoint."""
        if self._faults.hit(("token_html",)):
            return web.Response(status=503, text=HTML_ERROR, content_type="text/html")
        if self._faults.hit(("token_error",)):
            return web.json_response({"error": "rate_limit_exceeded"}, status=400, headers=NO_STORE)
        form = {name: str(value) for name, value in (await request.post()).items()}
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            if self._switches.token_calls_count:
                self._limits.take_api_call("token")
            answer = self._accounts.grant(form, credentials if scheme == "Basic" else None)
        except OAuthError as error:
            return web.json_response(error.body, status=error.status, headers=NO_STORE)
        except OrgError as error:
            return web.json_response(
                {"error": "rate_limit_exceeded", "error_description": error.message}, status=400
            )
        return web.json_response(answer, headers=NO_STORE)

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke a token; 200 without a body."""
        form = await request.post() if request.method == "POST" else {}
        token = str(form.get("token") or request.query.get("token", ""))
        if not self._accounts.revoke(token):
            return web.json_response(
                {"error": "unsupported_token_type", "error_description": "invalid token"}, status=400
            )
        return web.Response()

    def _bearer(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme in ("Bearer", "OAuth"):
            return token
        return request.query.get("oauth_token") or request.query.get("access_token") or ""

    async def userinfo(self, request: web.Request) -> web.Response:
        """Answer OpenID's userinfo; a bad token gets 403 and plain text."""
        user = self._user(request)
        if isinstance(user, web.Response):
            return user
        row = self._row(user)
        return web.json_response(
            {
                "sub": self._accounts.identity_url(user),
                "preferred_username": user.username,
                "nickname": user.username.partition("@")[0],
                "name": row.get("Name"),
                "given_name": row.get("FirstName"),
                "family_name": row.get("LastName"),
                "zoneinfo": "GMT",
                "updated_at": self._org.clock.now().isoformat(),
                "urls": self._urls("{version}"),
                **self._person(user, row),
            }
        )

    async def identity(self, request: web.Request) -> web.Response:
        """Answer the identity URL that a token answer names."""
        user = self._user(request)
        if isinstance(user, web.Response):
            return user
        row = self._row(user)
        version = (
            "67.0" if request.query.get("version") == "latest" else request.query.get("version", "{version}")
        )
        return web.json_response(
            {
                "id": self._accounts.identity_url(user),
                "asserted_user": True,
                "username": user.username,
                "nick_name": user.username.partition("@")[0],
                "display_name": row.get("Name"),
                "first_name": row.get("FirstName"),
                "last_name": row.get("LastName"),
                "timezone": "GMT",
                "last_modified_date": self._org.clock.now().isoformat(),
                "is_app_installed": True,
                "urls": self._urls(version),
                **self._person(user, row),
            }
        )

    def _person(self, user: User, row: dict[str, Any]) -> dict[str, Any]:
        """Return the entries that userinfo and the identity URL share."""
        return {
            "user_id": user.principal.user_id,
            "organization_id": self._org.org_id,
            "email": row.get("Email"),
            "email_verified": True,
            "photos": {"picture": None, "thumbnail": None},
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }

    def _user(self, request: web.Request) -> User | web.Response:
        token = self._bearer(request)
        if not token:
            return web.Response(status=self._switches.bad_token_status, text="Missing_OAuth_Token")
        try:
            return self._accounts.session_of(token).user
        except OrgError:
            return web.Response(status=self._switches.bad_token_status, text="Bad_OAuth_Token")

    def _row(self, user: User) -> dict[str, Any]:
        fields = ["Name", "FirstName", "LastName", "Email"]
        who = self._org.sync_user
        return self._org.retrieve(who, "User", [user.principal.user_id], fields)[0] or {}

    def _urls(self, version: str) -> dict[str, str]:
        base = self._org.instance_url
        rest = f"{base}/services/data/v{version}"
        return {
            "partner": f"{base}/services/Soap/u/{version}/{self._org.org_id[:15]}",
            "metadata": f"{base}/services/Soap/m/{version}/{self._org.org_id[:15]}",
            "rest": f"{rest}/",
            "sobjects": f"{rest}/sobjects/",
            "query": f"{rest}/query/",
            "tooling_rest": f"{rest}/tooling/",
            "custom_domain": base,
        }
