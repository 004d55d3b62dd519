"""SOAP login() of the partner WSDL, the only SOAP call served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web

from rtssim.org import NAME

if TYPE_CHECKING:
    from rtssim.login.accounts import Accounts
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

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


class SoapLogin:
    """Answers `/services/Soap/u`."""

    def __init__(self, org: Org, accounts: Accounts, switches: ApiSwitches) -> None:
        self._org = org
        self._accounts = accounts
        self._switches = switches

    def routes(self, app: web.Application) -> None:
        """Serve the endpoint, with and without an org id."""
        app.router.add_post("/services/Soap/u/{version}", self.login)
        app.router.add_post("/services/Soap/u/{version}/{org}", self.login)

    async def login(self, request: web.Request) -> web.Response:
        """Open a session by username and password."""
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
            name=escape(NAME),
            token=session.token,
            user=user.principal.user_id,
            username=escape(user.username),
        )
        return web.Response(text=answer, content_type="text/xml")


def _fault(code: str, text: str) -> web.Response:
    return web.Response(
        status=500, text=SOAP_FAULT.format(code=code, text=escape(text)), content_type="text/xml"
    )
