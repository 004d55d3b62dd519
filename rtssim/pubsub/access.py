"""Who calls: the metadata of each call, and what its user may subscribe to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError
from rtssim.pubsub.refusals import Refused

if TYPE_CHECKING:
    from rtssim.bus.channels import Channels, Topic
    from rtssim.bus.event_bus import BusEvent
    from rtssim.interface import Commit, Principal
    from rtssim.login.accounts import Accounts, Session
    from rtssim.org import Org

_RIGHTS = ("ObjectPermissions", "PermissionSetAssignment")
_HEADERS = ("accesstoken", "instanceurl", "tenantid")


class Access:
    """Checks sessions and rights."""

    def __init__(self, org: Org, accounts: Accounts, channels: Channels) -> None:
        self._org = org
        self._accounts = accounts
        self._channels = channels
        self._granted: dict[tuple[str, str], bool] = {}
        org.on_commit(self._observe)

    def session(self, metadata: Any) -> Session:
        """Return the caller's session; Refused for wrong headers or a session that has ended."""
        found = {str(key): str(value) for key, value in metadata or ()}
        token, url, tenant = (found.get(name, "") for name in _HEADERS)
        if not token or url.rstrip("/") != self._org.instance_url or tenant != self._org.org_id:
            raise Refused("service.auth.headers.invalid", f"Invalid headers; required: {', '.join(_HEADERS)}")
        try:
            return self._accounts.session_of(token)
        except OrgError as error:
            raise Refused("service.auth.error", "The session has ended") from error

    def is_usable(self, session: Session) -> bool:
        """Return whether a session still lasts, without renewing it."""
        return session.is_usable(self._org.clock.now())

    def topic(self, name: str, who: Principal) -> Topic:
        """Return a topic that the user may subscribe to."""
        if not name:
            raise Refused("topic.validation.empty")
        topic = self._channels.topic(name)
        if topic is None:
            raise Refused("topic.not.found", f"No such topic: {name}")
        if topic.single is not None and not self.may_read(topic.single, who):
            raise Refused("subscription.topic.cannot.subscribe", f"No read access to {topic.single}")
        return topic

    def may_read(self, entity: str, who: Principal) -> bool:
        """Return whether a user may read an object's events: change events need View All.

        A platform event needs Read by a permission set, where any is deployed; a package that was installed
        otherwise has none.
        """
        if entity in who.hidden_objects:
            return False
        return self._is_granted(entity, who) if entity.endswith("__e") else who.view_all

    def _is_granted(self, entity: str, who: Principal) -> bool:
        key = (entity, who.user_id)
        if key not in self._granted:
            self._granted[key] = self._asks(entity, who.user_id)
        return self._granted[key]

    def _asks(self, entity: str, user: str) -> bool:
        rows = self._org.query(
            self._org.sync_user, "SELECT ParentId, SobjectType, PermissionsRead FROM ObjectPermissions"
        ).rows()
        permissions = list(rows)
        granting = {parent for parent, name, reads in permissions if name == entity and reads}
        soql = f"SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '{user}'"
        return not permissions or not granting.isdisjoint(self._org.first_column(soql))

    def _observe(self, commit: Commit) -> None:
        if any(change.object in _RIGHTS for change in commit.changes):
            self._granted.clear()

    def carries(self, topic: Topic, event: BusEvent, who: Principal) -> bool:
        """Return whether a topic brings an event to a user; without the right it is left out silently."""
        current = self._channels.topic(topic.name)
        carried = topic.carries if current is None else current.carries
        return event.name in carried and self.may_read(event.name, who)
