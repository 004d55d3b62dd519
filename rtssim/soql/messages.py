"""Query errors in Salesforce's format: fragment, caret, `ERROR at Row:r:Column:c`, reason."""

from __future__ import annotations

from rtssim.interface import OrgError

_WINDOW = 60
_HINT = (
    " If you are attempting to use a custom {kind}, be sure to append the '{suffix}' after the {name} name."
    " Please reference your WSDL or the describe call for the appropriate names."
)


def located(text: str, at: int, code: str, reason: str) -> OrgError:
    """Return the error for offset `at` of the query `text` (REST API guide, status codes and errors)."""
    start_of_line = text.rfind("\n", 0, at) + 1
    row = text.count("\n", 0, at) + 1
    column = at - start_of_line + 1
    end_of_line = text.find("\n", at)
    line = text[start_of_line : end_of_line if end_of_line >= 0 else len(text)]
    left = max(0, column - 1 - _WINDOW)
    shown = line[left : column - 1 + _WINDOW]
    caret = " " * (column - 1 - left) + "^"
    message = f"\n{shown}\n{caret}\nERROR at Row:{row}:Column:{column}\n{reason}"
    return OrgError(400, code, message)


def no_such_column(text: str, at: int, name: str, entity: str) -> OrgError:
    """Return the error for a field that the object lacks or the user may not see."""
    hint = _HINT.format(kind="field", suffix="__c", name="custom field")
    return located(text, at, "INVALID_FIELD", f"No such column '{name}' on entity '{entity}'.{hint}")


def no_such_type(text: str, at: int, name: str) -> OrgError:
    """Return the error for an object that the org lacks or the user may not see."""
    hint = _HINT.format(kind="object", suffix="__c", name="entity")
    return located(text, at, "INVALID_TYPE", f"sObject type '{name}' is not supported.{hint}")


def no_such_relationship(text: str, at: int, name: str) -> OrgError:
    """Return the error for a parent relationship that the object lacks."""
    hint = _HINT.format(kind="relationship", suffix="__r", name="custom relationship")
    return located(text, at, "INVALID_FIELD", f"Didn't understand relationship '{name}' in field path.{hint}")


def no_such_children(text: str, at: int, name: str) -> OrgError:
    """Return the error for a child relationship that the object lacks."""
    hint = _HINT.format(kind="relationship", suffix="__r", name="custom relationship")
    return located(
        text, at, "INVALID_TYPE", f"Didn't understand relationship '{name}' in FROM part of query call.{hint}"
    )


def malformed(text: str, at: int, reason: str) -> OrgError:
    """Return the error for a query that is not valid SOQL."""
    return located(text, at, "MALFORMED_QUERY", reason)
