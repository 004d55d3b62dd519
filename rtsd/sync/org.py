"""Which org the mirror is of: learnt at the first start, and never changed after."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from rtsd.errors import (
    AuthenticationFailed,
    Conflict,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.salesforce.client import Client
from rtsd.salesforce.login import Token
from rtsd.salesforce.responses import Organization
from rtsd.store import meta
from rtsd.store.database import Database

ORG_ID = "org_id"

log = structlog.get_logger("rtsd.org")


@dataclass(slots=True)
class OrgFacts:
    """What is known of the org; None where it could not be asked yet."""

    name: str | None = None
    instance_url: str | None = None
    sandbox: bool | None = None
    edition: str | None = None
    apex: bool | None = None
    user: str | None = None


class OrgIdentity:
    """Learns which org is behind the login."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self.id: str | None = None
        """The org's 18-character id; None until the first login has told it."""
        self.facts = OrgFacts()
        self._learnt = False

    async def restore(self) -> bool:
        """Restore the org of an earlier run; False at a first start."""
        self.id = await meta.get(self._database, ORG_ID)
        return self.id is not None

    async def learn(self) -> None:
        """Ask the org who it is, if that is not known in full yet.

        Raises Conflict when it is another org than the mirror's, and what the client raises.
        """
        if self._learnt:
            return
        client = self._client
        token = await client.session.token()
        organization = await self._organization(token)
        await self._must_be(organization.id)
        self._take(organization, token.instance_url)
        self._learnt = True
        try:
            self.facts.user = (await client.userinfo(purpose="describe")).username
        except (OrgUnreachable, AuthenticationFailed, QuotaExhausted):
            raise
        except SalesforceError as error:  # nice to know, no more
            log.info("user unknown", message=error.message)

    async def _organization(self, token: Token) -> Organization:
        """The Organization record; only its id, as the login told it, where the sync user may not see it."""
        try:
            return await self._client.organization(purpose="describe")
        except ObjectUnavailable as error:
            if error.status == 404 or not token.org_id:
                raise
            log.info("organization hidden", message=error.message)
            return Organization(token.org_id)

    async def _must_be(self, found: str) -> None:
        if self.id is None:
            async with self._database.transaction() as tx:
                await meta.put(tx, ORG_ID, found)
            self.id = found
        elif self.id != found:
            raise Conflict(
                f"{self._database.path} mirrors org {self.id}, but the login leads to {found}",
                "nothing was changed; correct [org], or give [store] path another file",
            )
        self._client.session.org_id = found  # from now on a login that leads elsewhere is refused

    def _take(self, organization: Organization, instance_url: str) -> None:
        facts = self.facts
        facts.instance_url, facts.edition = instance_url, organization.edition
        facts.sandbox, facts.apex = organization.sandbox, organization.apex
        facts.name = organization.name
