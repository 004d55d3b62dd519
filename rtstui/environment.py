"""What an org is for: people work in a production org, so an order given there weighs more."""

from __future__ import annotations

from rtsd.control.protocol import Org

PRODUCTION = "production"
DEVELOPER_EDITION = "Developer Edition"


def kind_of(org: Org) -> str:
    """Return `production`, `sandbox` or `developer`; empty while it is not known.

    Salesforce calls a Developer Edition no sandbox, but nobody's business runs there (Organization.IsSandbox,
    OrganizationType).
    """
    if org.sandbox is None or org.edition is None:
        return "sandbox" if org.sandbox else ""
    if org.sandbox:
        return "sandbox"
    return "developer" if org.edition == DEVELOPER_EDITION else PRODUCTION
