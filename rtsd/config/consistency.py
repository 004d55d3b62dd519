"""Rules across several keys: required combinations, unique names, references.

Works on the raw document, so that these mistakes are reported together with those of single values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rtsd.config.mistakes import Mistakes, entry_key
from rtsd.config.secrets import Secret
from rtsd.core import sfdx_url
from rtsd.core.spelling import meant

Raw = dict[str, Any]

_REQUIRED = {
    "client_credentials": ("login_url", "client_id", "client_secret"),
    "jwt": ("login_url", "client_id", "username", "private_key"),
    "refresh_token": ("login_url", "client_id", "refresh_token"),
    "password": ("login_url", "client_id", "client_secret", "username", "password"),
    "sf": ("username",),
    "sfdx_url": ("sfdx_url",),
}
_SECRETS = frozenset({"client_secret", "private_key", "refresh_token", "password", "sfdx_url"})


def entries(raw: Raw, table: str) -> Iterator[tuple[str, Raw]]:
    """Yield the entries of `[[table]]` with the keys used in messages; skip entries that are not tables."""
    listed = raw.get(table)
    for position, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict):
            yield entry_key(table, position, entry), entry


def table(raw: Raw, name: str) -> Raw:
    """Return the table `name`, or an empty one."""
    found = raw.get(name)
    return found if isinstance(found, dict) else {}


def check(raw: Raw, found: Mistakes) -> None:
    """Add the inconsistencies of `raw`, whose secrets are already replaced, to `found`."""
    _check_login(raw, found)
    _check_gateway(raw, found)
    _check_store(raw, found)
    _check_objects(raw, found)
    _check_rules(raw, found)
    _check_streams(raw, found)
    for name in ("rules", "alerts"):
        for key, entry in entries(raw, name):
            _check_action(key, entry, found)


def _check_login(raw: Raw, found: Mistakes) -> None:
    org = table(raw, "org")
    if "org" not in raw:
        return
    auth = org.get("auth", "client_credentials")
    for name in _REQUIRED.get(auth, ()) if isinstance(auth, str) else ():
        if not org.get(name):
            as_file = f" as {name} or {name}_file" if name in _SECRETS else ""
            found.add(f"org.{name}", f'is missing; auth = "{auth}" needs it{as_file}')
    if auth in ("sf", "sfdx_url") and org.get("login_url"):
        found.add(
            "org.login_url", f'is of no use with auth = "{auth}", which knows the address; leave it out'
        )
    url = org.get("sfdx_url")
    if isinstance(url, Secret) and url.reveal():
        try:
            sfdx_url.parse(url.reveal())
        except ValueError as error:
            found.add("org.sfdx_url_file", str(error))


def _check_store(raw: Raw, found: Mistakes) -> None:
    store = table(raw, "store")
    if store.get("url") and "path" in store:
        found.add("store.url", "stands beside path; one of them: the mirror is in PostgreSQL or in a file")
    if store.get("url") and store.get("schema", "salesforce") == store.get("internal_schema", "rts"):
        found.add("store.internal_schema", "is the same as schema; another schema for rtsd's own tables")
    _check_views(raw, store, found)


def _check_views(raw: Raw, store: Raw, found: Mistakes) -> None:
    """Report a place of views that something else has."""
    given = table(store, "views").items()
    places = {name: place for name, place in given if isinstance(place, str) and place}
    objects = [str(entry.get("name")).lower() for _, entry in entries(raw, "objects")]
    for name, place in places.items():
        key = f"store.views.{name}"
        if any(other != name and places[other] == place for other in places):
            found.add(key, f"{place!r} is the schema of two layouts; another one")
        elif store.get("url"):
            if place in (store.get("schema", "salesforce"), store.get("internal_schema", "rts")):
                found.add(key, f"{place!r} has rtsd's own tables; another schema, or another [store] schema")
        elif any(mirrored.startswith(f"{place}_") for mirrored in objects):
            found.add(key, f"{place!r} begins the name of an object; another word, as views are named by it")


def _check_gateway(raw: Raw, found: Mistakes) -> None:
    gateway, push = table(raw, "gateway"), table(raw, "push")
    if not gateway.get("token") and not push.get("token"):
        if push.get("channel") == "stream":
            found.add("push.token", "is missing; token or token_file, to verify the events")
        elif gateway.get("listen") != "":
            found.add("gateway.token", 'is missing; token or token_file, or listen = "" for no gateway')
    certificate, key = gateway.get("tls_certificate"), gateway.get("tls_private_key")
    if bool(certificate) != bool(key):
        name = "tls_private_key" if certificate else "tls_certificate"
        found.add(f"gateway.{name}", "is missing; both files for TLS, or neither behind a proxy")


def _check_objects(raw: Raw, found: Mistakes) -> None:
    if raw.get("objects", []) == []:
        found.add("objects", "is missing; at least one [[objects]] with a name")
    _check_unique(raw, "objects", found)


def _check_unique(raw: Raw, name: str, found: Mistakes) -> None:
    """Report duplicate names, ignoring case as Salesforce and SQLite do."""
    seen: set[str] = set()
    for key, entry in entries(raw, name):
        folded = str(entry.get("name")).casefold()
        if folded in seen and entry.get("name"):
            found.add(key, "is a duplicate; each name once, regardless of case")
        seen.add(folded)


def _check_rules(raw: Raw, found: Mistakes) -> None:
    _check_unique(raw, "rules", found)
    named = {str(entry.get("name")).casefold() for _, entry in entries(raw, "rules")}
    for key, entry in entries(raw, "alerts"):
        name = str(entry.get("name") or "").casefold()
        if name and name in named:
            found.add(f"{key}.name", "is the name of another rule or alert; a unique name")
        named.add(name)
    mirrored = [str(entry.get("name")) for _, entry in entries(raw, "objects")]
    known = {name.casefold() for name in mirrored}
    for key, entry in entries(raw, "rules"):
        wanted = entry.get("object")
        if isinstance(wanted, str) and wanted.casefold() not in known:
            wrong = f"{wanted!r} is not mirrored{meant(wanted, mirrored)}"
            found.add(f"{key}.object", f"{wrong}; the name of one of the [[objects]]")


def _check_streams(raw: Raw, found: Mistakes) -> None:
    seen: set[str] = set()
    for key, entry in entries(raw, "streams"):
        name = str(entry.get("name") or entry.get("stream"))
        if name in seen:
            found.add(f"{key}.name", f"{name!r} is the name of another stream; a unique name")
        seen.add(name)
        credentials = entry.get("credentials")
        if isinstance(credentials, Secret) and credentials.reveal():
            from rtsd.core.nats_credentials import parse  # noqa: PLC0415 - imports cryptography

            try:
                parse(credentials.reveal())
            except ValueError as error:
                found.add(f"{key}.credentials_file", str(error))
        if entry.get("replicas", 1) != 1 and not entry.get("create"):
            found.add(f"{key}.replicas", "is of no use without create = true; an existing stream has its own")


def _check_action(key: str, entry: Raw, found: Mistakes) -> None:
    actions = [name for name in ("webhook", "command") if name in entry]
    if len(actions) != 1:
        wrong = "has no action" if not actions else "has two actions"
        found.add(key, f"{wrong}; either a webhook with url and secret, or a command with argv")
    webhook = entry.get("webhook")
    if isinstance(webhook, dict) and not webhook.get("secret"):
        found.add(f"{key}.webhook.secret", "is missing; secret or secret_file, to sign each delivery")
