"""/tooling: queries of Apex and packages, creation of Apex, anonymous Apex."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rtssim.bus.channels import MEMBER
from rtssim.interface import OrgError, not_found
from rtssim.rest.anonymous_apex import AnonymousApex
from rtssim.routing import Call, Reply, Router

if TYPE_CHECKING:
    from rtssim.apex_package.pushes import ApexPackage
    from rtssim.bus.channels import Channels
    from rtssim.org import Org
    from rtssim.rest.query import Queries

CREATABLE = ("ApexClass", "ApexTrigger")


class Tooling:
    """Answers everything below `/tooling`."""

    def __init__(self, org: Org, queries: Queries, package: ApexPackage, channels: Channels) -> None:
        self._org = org
        self._anonymous = AnonymousApex(org, package)
        self._queries = queries
        self._channels = channels

    def routes(self, router: Router) -> None:
        """Serve tooling queries, Apex creates and anonymous Apex."""
        router.add("GET", "/tooling/query", self.query, "tooling_query")
        router.add("GET", "/tooling/query/{locator}", self._queries.more, "tooling_query")
        router.add("POST", "/tooling/sobjects/{name}", self.create, "tooling_create")
        router.add("DELETE", "/tooling/sobjects/{name}/{record_id}", self.delete, "tooling_delete")
        router.add("GET", "/tooling/executeAnonymous", self.execute_anonymous, "execute_anonymous")

    def query(self, call: Call) -> Reply:
        """Answer a query of setup objects; no managed package is installed."""
        soql = call.query.get("q", "")
        target = re.search(r"\bFROM\s+(\w+)", soql, re.IGNORECASE)
        if target is not None and target[1].lower() == "installedsubscriberpackage":
            return Reply({"size": 0, "totalSize": 0, "done": True, "records": []})
        if target is not None and target[1].lower().startswith("subscriberpackage"):
            raise OrgError(400, "ID_REQUIRED", "a filter on a reified column is required [Id]")
        reply = self._queries.query(call)
        return Reply(
            {"size": len(reply.data["records"]), **reply.data, "queryLocator": None, "entityTypeName": None}
        )

    def create(self, call: Call, name: str) -> Reply:
        """Create a class or trigger, as sandboxes and Developer orgs allow, or a member of a channel."""
        if name == MEMBER:
            created = self._channels.select(call.session.who, call.json_object())
        elif name in CREATABLE:
            created = self._org.create(call.session.who, name, [call.json_object()])[0].unwrap()
        else:
            raise not_found()
        return Reply({"id": created, "success": True, "errors": [], "warnings": [], "infos": []}, 201)

    def delete(self, call: Call, name: str, record_id: str) -> Reply:
        """Delete a class, a trigger or a member of a channel; 204."""
        self._org.hard_delete(call.session.who, name, [record_id])[0].unwrap()
        return Reply(status=204)

    def execute_anonymous(self, call: Call) -> Reply:
        """Run anonymous Apex; 200 even if it fails."""
        return Reply(self._anonymous.run(call.session.who, call.query.get("anonymousBody", "")))
