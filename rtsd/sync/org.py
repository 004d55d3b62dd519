"""The identity of the mirrored org: stored at the first start, and never changed."""

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
from rtsd.salesforce.session import ANOTHER_ORG
from rtsd.store import meta
from rtsd.store.database import Database

ORG_ID = "org_id"

log = structlog.get_logger("rtsd.org")


@dataclass(slots=True)
class OrgFacts:
    """Facts about the org; None until the org has been asked."""

    name: str | None = None
    instance_url: str | None = None
    sandbox: bool | None = None
    edition: str | None = None
    apex: bool | None = None
    user: str | None = None


class OrgIdentity:
    """Identifies the org behind the login."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database
        self.id: str | None = None
        """The org's 18-character id; None until the first login."""
        self.facts = OrgFacts()

    async def restore(self) -> bool:
        """Restore the org's id from the last run; return False on a first start."""
        self.id = await meta.get(self._database, ORG_ID)
        self._client.session.org_id = self.id  # before anything is read: rows of another org must not mix in
        return self.id is not None

    async def identify(self) -> None:
        """Ask the org for its identity and facts, unless they are known.

        Raises Conflict if it is not the mirror's org, and the client's errors.
        """
        if self.facts.instance_url is not None:
            return
        client = self._client
        token = await self._login()
        organization = await self._organization(token)
        await self._check_identity(organization.id)
        self._store_facts(organization, token.instance_url)
        try:
            self.facts.user = (await client.userinfo(purpose="describe")).username
        except (OrgUnreachable, AuthenticationFailed, QuotaExhausted):
            raise
        except SalesforceError as error:  # the username is only shown
            log.info("user unknown", message=error.message)

    async def _login(self) -> Token:
        try:
            return await self._client.session.token()
        except AuthenticationFailed as error:
            if error.reason != ANOTHER_ORG:
                raise
            raise Conflict(error.message, error.do) from error

    async def _organization(self, token: Token) -> Organization:
        """Return the Organization record; only its id, from the login, if the sync user cannot see it."""
        try:
            return await self._client.organization(purpose="describe")
        except ObjectUnavailable as error:
            if error.status == 404 or not token.org_id:
                raise
            log.info("organization hidden", message=error.message)
            return Organization(token.org_id)

    async def _check_identity(self, found: str) -> None:
        if self.id is None:
            async with self._database.transaction() as tx:
                await meta.put(tx, ORG_ID, found)
            self.id = found
        elif self.id != found:
            raise Conflict(
                f"{self._database.name} mirrors org {self.id}, but the login leads to {found}",
                "nothing was changed; correct [org], or give the org a store of its own:"
                " another [store] path, or other schemas",
            )
        self._client.session.org_id = found  # refuse later logins that lead to another org

    def _store_facts(self, organization: Organization, instance_url: str) -> None:
        facts = self.facts
        facts.instance_url, facts.edition = instance_url, organization.edition
        facts.sandbox, facts.apex = organization.sandbox, organization.apex
        facts.name = organization.name
