"""The Tooling API's part that a sync client touches: queries on Apex and packages, simple creates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError
from rtssim.rest.anonymous_apex import Anonymous
from rtssim.routing import Call, Reply, Router

if TYPE_CHECKING:
    from rtssim.apex_package.pushes import Package
    from rtssim.org import Org
    from rtssim.rest.query import Queries

CREATABLE = ("ApexClass", "ApexTrigger")


class Tooling:
    """Answers `/tooling`."""

    def __init__(self, org: Org, queries: Queries, package: Package) -> None:
        self._org = org
        self._anonymous = Anonymous(org, package)
        self._queries = queries
        self.installed_packages: list[
            dict[str, Any]
        ] = []  # InstalledSubscriberPackage rows: managed packages

    def routes(self, router: Router) -> None:
        """Serve tooling queries, Apex creates and anonymous Apex."""
        router.add("GET", "/tooling/query", self.query, "tooling_query")
        router.add("GET", "/tooling/query/{locator}", self._queries.more, "tooling_query")
        router.add("POST", "/tooling/sobjects/{name}", self.create, "tooling_create")
        router.add("DELETE", "/tooling/sobjects/{name}/{record_id}", self.delete, "tooling_delete")
        router.add("GET", "/tooling/executeAnonymous", self.execute_anonymous, "execute_anonymous")

    def query(self, call: Call) -> Reply:
        """Answer a query of setup data; the objects live in the org like all others."""
        soql = call.query.get("q", "")
        target = re.search(r"\bFROM\s+(\w+)", soql, re.IGNORECASE)
        if target is not None and target[1].lower() == "installedsubscriberpackage":
            rows = self.installed_packages
            return Reply({"size": len(rows), "totalSize": len(rows), "done": True, "records": rows})
        if target is not None and target[1].lower().startswith("subscriberpackage"):
            raise OrgError(400, "ID_REQUIRED", "a filter on a reified column is required [Id]")
        reply = self._queries.query(call)
        return Reply(
            {"size": len(reply.data["records"]), **reply.data, "queryLocator": None, "entityTypeName": None}
        )

    def create(self, call: Call, name: str) -> Reply:
        """Create a class or trigger, as sandboxes and Developer orgs allow."""
        if name not in CREATABLE:
            raise OrgError(404, "NOT_FOUND", "The requested resource does not exist")
        result = self._org.create(call.session.who, name, [call.json_object()])[0]
        return Reply({"id": result.unwrap(), "success": True, "errors": [], "warnings": [], "infos": []}, 201)

    def delete(self, call: Call, name: str, record_id: str) -> Reply:
        """Delete a class or trigger: 204."""
        self._org.hard_delete(call.session.who, name, [record_id])[0].unwrap()
        return Reply(status=204)

    def execute_anonymous(self, call: Call) -> Reply:
        """Run anonymous Apex; that it failed is told in a 200."""
        return Reply(self._anonymous.run(call.session.who, call.query.get("anonymousBody", "")))
