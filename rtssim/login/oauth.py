"""The HTTP face of logging in: token, revoke, identity, userinfo and SOAP login()."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web

from rtssim.interface import OrgError
from rtssim.login.accounts import OAuthError

if TYPE_CHECKING:
    from rtssim.faults import Faults
    from rtssim.limits import Limits
    from rtssim.login.accounts import Accounts, User
    from rtssim.org import Org
    from rtssim.switches import Switches

SOAP_FAULT = """<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope \
xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>\
<faultcode>sf:{code}</faultcode><faultstring>{code}: {text}</faultstring><detail><sf:LoginFault \
xsi:type="sf:LoginFault"><sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{text}\
</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"""
SOAP_RESULT = """<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope \
xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"><soapenv:Body>\
<loginResponse><result><metadataServerUrl>{url}/services/Soap/m/{version}/{org15}</metadataServerUrl>\
<passwordExpired>false</passwordExpired><sandbox>false</sandbox>\
<serverUrl>{url}/services/Soap/u/{version}/{org15}</serverUrl><sessionId>{token}</sessionId>\
<userId>{user}</userId><userInfo><organizationId>{org}</organizationId><organizationName>{name}\
</organizationName><userId>{user}</userId><userName>{username}</userName></userInfo></result>\
</loginResponse></soapenv:Body></soapenv:Envelope>"""
NO_STORE = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}
HTML_ERROR = (
    "<html><head><title>Error</title></head><body>An internal server error has occurred</body></html>"
)


class Login:
    """Serves what stands outside `/services/data`."""

    def __init__(
        self, org: Org, accounts: Accounts, limits: Limits, faults: Faults, switches: Switches
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
        app.router.add_post("/services/Soap/u/{version}", self.soap_login)
        app.router.add_post("/services/Soap/u/{version}/{org}", self.soap_login)

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
        """Revoke a token: 200 without a body."""
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
        """Answer OpenID's userinfo; a bad token gets 403 and a plain text."""
        user = self._user(request)
        if isinstance(user, web.Response):
            return user
        row = self._row(user)
        return web.json_response(
            {
                "sub": self._accounts.identity_url(user),
                "user_id": user.principal.user_id,
                "organization_id": self._org.org_id,
                "preferred_username": user.username,
                "nickname": user.username.partition("@")[0],
                "name": row.get("Name"),
                "email": row.get("Email"),
                "email_verified": True,
                "given_name": row.get("FirstName"),
                "family_name": row.get("LastName"),
                "zoneinfo": "GMT",
                "active": True,
                "user_type": "STANDARD",
                "language": "en_US",
                "locale": "en_US",
                "utcOffset": 0,
                "updated_at": self._org.clock.now().isoformat(),
                "urls": self._urls("{version}"),
                "photos": {"picture": None, "thumbnail": None},
            }
        )

    async def identity(self, request: web.Request) -> web.Response:
        """Answer the identity URL of a token answer."""
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
                "user_id": user.principal.user_id,
                "organization_id": self._org.org_id,
                "username": user.username,
                "nick_name": user.username.partition("@")[0],
                "display_name": row.get("Name"),
                "email": row.get("Email"),
                "email_verified": True,
                "first_name": row.get("FirstName"),
                "last_name": row.get("LastName"),
                "timezone": "GMT",
                "photos": {"picture": None, "thumbnail": None},
                "active": True,
                "user_type": "STANDARD",
                "language": "en_US",
                "locale": "en_US",
                "utcOffset": 0,
                "last_modified_date": self._org.clock.now().isoformat(),
                "is_app_installed": True,
                "urls": self._urls(version),
            }
        )

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

    async def soap_login(self, request: web.Request) -> web.Response:
        """Answer login() of the partner WSDL, the only SOAP call served."""
        version = request.match_info["version"]
        if not re.fullmatch(r"\d+\.\d", version) or float(version) > self._switches.soap_max_version:
            return _fault("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")
        if not self._switches.soap_login:
            return _fault("INVALID_OPERATION", "SOAP API login() is disabled by default in this org.")
        try:
            tree = ET.fromstring(await request.text())  # noqa: S314 - a test org on the loopback
        except ET.ParseError as problem:
            return _fault("INVALID_OPERATION", f"Not an XML document: {problem}")
        texts = {element.tag.rpartition("}")[2]: element.text or "" for element in tree.iter()}
        user = self._accounts.password_user(texts.get("username", ""), texts.get("password", ""))
        if "login" not in texts or user is None:
            text = "Invalid username, password, security token; or user locked out."
            return _fault("INVALID_LOGIN", text)
        session = self._accounts.open_session(user)
        answer = SOAP_RESULT.format(
            url=self._org.instance_url,
            version=version,
            org15=self._org.org_id[:15],
            org=self._org.org_id,
            name=escape(self._org.name),
            token=session.token,
            user=user.principal.user_id,
            username=escape(user.username),
        )
        return web.Response(text=answer, content_type="text/xml")


def _fault(code: str, text: str) -> web.Response:
    return web.Response(
        status=500, text=SOAP_FAULT.format(code=code, text=escape(text)), content_type="text/xml"
    )
