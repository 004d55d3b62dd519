"""The page about the control API, from its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rtsd.control.openapi.document import document

Schema = Mapping[str, Any]


def page() -> str:
    """Return the page: operations by group, then the types."""
    shown = document()
    lines = ["# The control API\n", shown["info"]["description"], ""]
    lines.append(
        "[openapi.json](openapi.json) is the same for programs, and `GET /v1/openapi.json` serves it.\n"
    )
    for tag in shown["tags"]:
        lines += [f"## {tag['name'].capitalize()}\n", tag["description"], ""]
        for path, methods in shown["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    lines += _operation(f"{method.upper()} {path}", operation)
    lines += ["## Errors of every route\n", *_refusals(shown["components"]["responses"])]
    lines.append("## Types\n")
    for name, schema in sorted(shown["components"]["schemas"].items()):
        lines += _type(name, schema)
    return "\n".join(lines)


def _operation(title: str, operation: Schema) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield f"{operation['summary']} {operation.get('description', '')}\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | meaning |\n|---|---|---|---|"
        for each in parameters:
            kind = _kind(each["schema"])
            must = ", required" if each["required"] else ""
            old = " Deprecated." if each.get("deprecated") else ""
            default = f" Default `{each['schema']['default']}`." if "default" in each["schema"] else ""
            yield f"| `{each['name']}` | {each['in']} | {kind}{must} | {each['description']}{default}{old} |"
        yield ""
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        yield f"Body: {_kind(content['schema'])}\n"
        yield _json(content["example"])
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            yield from _answer(status, answer)
    codes = [
        answer["$ref"].rpartition("/")[2] for answer in operation["responses"].values() if "$ref" in answer
    ]
    yield (
        "Errors: "
        + "; ".join(
            f"{status} {', '.join(f'`{name}`' for name in names)}"
            for status, *names in (code.split("-") for code in codes)
        )
        + "\n"
    )


def _answer(status: str, answer: Schema) -> Iterator[str]:
    ((media, content),) = answer["content"].items()
    kind = _kind(content["schema"])
    yield f"Answer {status}, `{media}`: {kind}. {answer['description']}\n"
    for name, text in answer.get("headers", {}).items():
        yield f"- Header `{name}`: {text['description']}"
    if "headers" in answer:
        yield ""
    examples = {name: each["value"] for name, each in content.get("examples", {}).items()}
    if "example" in content:
        examples[""] = content["example"]
    for name, value in examples.items():
        if isinstance(value, str):
            yield f"```text\n{value.rstrip()}\n```\n"
        else:
            yield (f"`{name}`:\n\n" if name else "") + _json(value)


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


def _refusals(responses: Schema) -> Iterator[str]:
    yield "| status | error | meaning |\n|---|---|---|"
    said = {
        (name.partition("-")[0], code, example["value"]["message"])
        for name, answer in responses.items()
        for code, example in answer["content"]["application/json"]["examples"].items()
    }
    yield from (f"| {status} | `{code}` | {message} |" for status, code, message in sorted(said))
    yield ""


def _type(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{schema.get('description', '')}\n"
    if fields := schema.get("properties"):
        required = schema.get("required", ())
        yield "| field | type | meaning |\n|---|---|---|"
        for field, kind in fields.items():
            must = "" if field in required else ", may be absent"
            text = " ".join(kind.get("description", "").split())
            yield f"| `{field}` | {_kind(kind)}{must} | {text} |"
        yield ""


def _kind(schema: Schema) -> str:
    """Return a type in words; named ones are links."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if kinds := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind({**each, "format": schema.get("format")}) for each in kinds))
    if values := schema.get("enum"):
        return " or ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    return "moment" if kind == "string" and schema.get("format") == "date-time" else str(kind)
