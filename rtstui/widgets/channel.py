"""The push channel: how changes leave the org and reach rtsd, and the package that sends them."""

from __future__ import annotations

from rtsd.control.protocol import PackageDetails, Push
from rtsd.core.channel import PACKAGED, channel_name
from rtsd.core.figures import age, count
from rtsd.core.plural import plural
from rtstui import channel, documents
from rtstui.document_cache import CachedDocument
from rtstui.format import wrap
from rtstui.rows import Row, Span
from rtstui.widgets.panel import Panel


class ChannelCard(Panel):
    """How pushes come: the channel with its subscription, and the package where it has one."""

    def document(self) -> CachedDocument[PackageDetails]:
        """The known facts."""
        return self.load(documents.package())

    def titles(self) -> tuple[str, str]:
        """The channel, the topic, and the last sign of the package."""
        push = self._push()
        if push is None:
            return "Push channel", ""
        title = f"Pushes by {channel_name(push.channel)}" if push.channel else "No push channel"
        title += f", {push.stream.topic}" if push.stream else ""
        if push.channel not in PACKAGED:
            return title, ""
        document = self.document()
        if document.value is None:
            return title, ""
        at = document.value.last_seen_at
        seen = f"package seen {age(at, self.state.now())} ago" if at else ""
        return title, documents.as_of(document, self.state) + seen

    def wanted(self) -> int:
        """As many lines as there are, of the problems at most three."""
        return len(self._lines(self.size.width or 76))

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The package, then the subscription."""
        return self._lines(width)

    def _push(self) -> Push | None:
        return self.state.status.push if self.state.status else None

    def _lines(self, width: int) -> list[Row]:
        push = self._push()
        if push is None:
            return [(("Waiting for rtsd…", "dim"),)]
        if not push.channel:
            return [(("Interval Sync reads the changes: [push] channel is empty.", "dim"),)]
        stream = channel.subscription(push.stream, self.state.now()) if push.stream else []
        return [*(self._package(width) if push.channel in PACKAGED else []), *stream]

    def _package(self, width: int) -> list[Row]:
        """Return state, triggers, use of async Apex, problems."""
        document = self.document()
        if document.value is None:
            return [((line, "dim"),) for line in wrap(documents.stand_in(document, self.state), width)]
        known = document.value
        rows: list[Row] = [(("package ", ""), self._state(known), *self._facts(known))]
        missing = [trigger.object for trigger in known.triggers if trigger.installed is False]
        unknown = [trigger.object for trigger in known.triggers if trigger.installed is None]
        if missing:
            rows.append(
                ((f"▲ no trigger for {', '.join(missing)}: its changes come by Interval Sync", "warn"),)
            )
        else:
            said = "triggers not known yet" if unknown else f"✔ {plural(len(known.triggers), 'trigger')}"
            rows.append(((said, "dim" if unknown else "ok"), *self._relay(known)))
        return rows + [((f"▲ {problem.what} {problem.do}", "warn"),) for problem in known.problems[:3]]

    def _state(self, known: PackageDetails) -> Span:
        if known.state == "installed":
            if known.disabled:
                return ("▲ RTS disabled ", "warn")
            return (f"● installed {known.version or ''} ", "ok")
        return (f"○ {known.state} ", "warn")

    def _relay(self, known: PackageDetails) -> Row:
        relay = known.relay
        if relay is None:
            return ()
        proven = f", proven {age(relay.proven_at, self.state.now())} ago" if relay.proven_at else ""
        said = f"  relay {relay.status or 'not known'}{proven}"
        return ((said, "warn" if relay.problem is not None else ""),)

    def _facts(self, known: PackageDetails) -> Row:
        spans: list[Span] = []
        if known.async_max:
            spans.append((f"  async Apex {count(known.async_used)} of {count(known.async_max)}", ""))
        if known.errors_24h is not None:
            spans.append(
                (f"  {plural(known.errors_24h, 'error')} in its log", "warn" if known.errors_24h else "")
            )
        return tuple(spans)
