"""Who calls: the metadata of each call, and what its user may subscribe to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError
from rtssim.pubsub.refusals import Refused

if TYPE_CHECKING:
    from rtssim.bus.channels import Channels, Topic
    from rtssim.bus.event_bus import BusEvent
    from rtssim.interface import Principal
    from rtssim.login.accounts import Accounts, Session
    from rtssim.org import Org

_HEADERS = ("accesstoken", "instanceurl", "tenantid")


class Access:
    """Checks sessions and rights."""

    def __init__(self, org: Org, accounts: Accounts, channels: Channels) -> None:
        self._org = org
        self._accounts = accounts
        self._channels = channels

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

    @staticmethod
    def may_read(entity: str, who: Principal) -> bool:
        """Return whether a user may read an object's events: change events need View All."""
        return entity not in who.hidden_objects and (who.view_all or entity.endswith("__e"))

    def carries(self, topic: Topic, event: BusEvent, who: Principal) -> bool:
        """Return whether a topic brings an event to a user; without the right it is left out silently."""
        current = self._channels.topic(topic.name)
        carried = topic.carries if current is None else current.carries
        return event.name in carried and self.may_read(event.name, who)
