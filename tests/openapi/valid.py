#!/usr/bin/env python3
"""Usage: valid.py PROGRAM

Checks the document that `PROGRAM openapi` prints against the rules of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html):
the fields that each object may and must have, names, references, and what has to be unique or has to fit together.
"""
import json
import re
import sys

from document import read_document

COMPONENT = re.compile(r"[A-Za-z0-9._-]+")
MEDIA_TYPE = re.compile(r"[a-z0-9.+*-]+/[a-z0-9.+*-]+")
STATUS = re.compile(r"default|[1-5](\d\d|XX)")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}

# Fields by object: those that must be there, and those that may.
FIELDS = {
    "document": ("openapi info", "servers paths webhooks components security tags externalDocs jsonSchemaDialect"),
    "info": ("title version", "summary description termsOfService contact license"),
    "contact": ("", "name url email"),
    "license": ("name", "identifier url"),
    "server": ("url", "description variables"),
    "tag": ("name", "description externalDocs"),
    "external docs": ("url", "description"),
    "example": ("", "summary description value externalValue"),
    "components": ("", "schemas responses parameters examples requestBodies headers securitySchemes links callbacks pathItems"),
    "operation": ("responses", "tags summary description externalDocs operationId parameters requestBody callbacks "
                               "deprecated security servers"),
    "parameter": ("name in schema", "description required deprecated allowEmptyValue style explode allowReserved example"),
    "body": ("content", "description required"),
    "media": ("", "schema example examples encoding"),
    "response": ("description", "headers content links"),
    "header": ("schema", "description required deprecated example"),
    "scheme": ("type", "description name in scheme bearerFormat flows openIdConnectUrl"),
    "schema": ("", "$ref type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength "
                   "pattern items prefixItems maxItems minItems uniqueItems maxProperties minProperties required "
                   "properties additionalProperties anyOf oneOf allOf title description default deprecated readOnly "
                   "writeOnly examples format discriminator contentEncoding contentMediaType contentSchema"),
}


class Check:
    def __init__(self, document):
        self.document, self.problems, self.used, self.ids = document, [], set(), {}

    def no(self, where, what):
        self.problems.append(f"{where}: {what}")

    def fields(self, kind, node, where):
        must, may = (set(names.split()) for names in FIELDS[kind])
        for name in must - node.keys():
            self.no(where, f"{name} is missing")
        for name in node.keys() - must - may:
            if not name.startswith("x-"):
                self.no(where, f"a {kind} has no {name}")

    def resolve(self, node, where, kind):
        if "$ref" not in node:
            return node
        if set(node) - {"$ref", "summary", "description"} and kind != "schemas":
            self.no(where, "a reference has nothing beside it")
        path = node["$ref"]
        if not path.startswith(f"#/components/{kind}/"):
            self.no(where, f"{path} is no place for one of {kind}")
            return {}
        self.used.add(path)
        name = path.rpartition("/")[2]
        found = self.document.get("components", {}).get(kind, {}).get(name)
        if found is None:
            self.no(where, f"{path} does not exist")
        return found or {}

    def schema(self, node, where):
        if isinstance(node, bool):
            return
        self.fields("schema", node, where)
        self.resolve(node, where, "schemas")
        types = node.get("type", [])
        for one in [types] if isinstance(types, str) else types:
            if one not in TYPES:
                self.no(where, f"there is no type {one}")
        for name in node.get("required", []):
            if name not in node.get("properties", {}):
                self.no(where, f"{name} is required, but not described")
        if "pattern" in node:
            try:
                re.compile(node["pattern"])
            except re.error as error:
                self.no(where, f"pattern: {error}")
        if node.get("enum") == [] or node.get("required") == []:
            self.no(where, "an empty list says nothing")
        for name, one in node.get("properties", {}).items():
            self.schema(one, f"{where}.{name}")
        for keyword in ("items", "additionalProperties"):
            if keyword in node:
                self.schema(node[keyword], f"{where}.{keyword}")
        for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for i, one in enumerate(node.get(keyword, [])):
                self.schema(one, f"{where}.{keyword}[{i}]")
        for target in node.get("discriminator", {}).get("mapping", {}).values():
            self.resolve({"$ref": target}, where, "schemas")
        self.default(node, where)

    def default(self, node, where):
        if "default" not in node or "type" not in node:
            return
        value, types = node["default"], node["type"]
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
        kind = "null" if value is None else kinds[type(value)]
        if kind not in types and not (kind == "integer" and "number" in types):
            self.no(where, f"the default {value} is no {types}")

    def content(self, node, where):
        for kind, media in node.items():
            if not MEDIA_TYPE.fullmatch(kind):
                self.no(where, f"{kind} is no media type")
            self.fields("media", media, where)
            self.schema(media.get("schema", {}), f"{where} {kind}")
            self.schema(media.get("x-itemSchema", {}), f"{where} {kind} item")
            for name, example in media.get("examples", {}).items():
                self.fields("example", example, f"{where} {kind} {name}")
                if "value" not in example:
                    self.no(f"{where} {kind} {name}", "an example has a value")

    def response(self, node, where):
        node = self.resolve(node, where, "responses")
        self.fields("response", node, where)
        self.content(node.get("content", {}), where)
        for name, header in node.get("headers", {}).items():
            self.fields("header", header, f"{where} {name}")
            self.schema(header.get("schema", {}), f"{where} {name}")

    def security(self, requirements, where):
        schemes = self.document.get("components", {}).get("securitySchemes", {})
        for requirement in requirements:
            for name, scopes in requirement.items():
                if name not in schemes:
                    self.no(where, f"there is no security scheme {name}")
                if not isinstance(scopes, list):
                    self.no(where, "scopes are a list")

    def external_docs(self, node, where):
        if "externalDocs" in node:
            self.fields("external docs", node["externalDocs"], f"{where} externalDocs")

    def identity(self, node, where):
        identity = node.get("operationId")
        if self.ids.setdefault(identity, where) != where:
            self.no(where, f"{identity} is the id of {self.ids[identity]} too")

    def item(self, item, where, path=None):
        """What can be done at one place; without a path it is the service that does it."""
        for method, node in item.items():
            if method not in METHODS:
                self.no(where, f"there is no method {method}")
                continue
            name = f"{method.upper()} {where}"
            self.operation(name, path, node)
            self.identity(node, name)
            for callback, places in node.get("callbacks", {}).items():
                for address, inner in places.items():
                    self.item(inner, f"{name} {callback} {address}")

    def operation(self, where, path, node):
        self.fields("operation", node, where)
        self.external_docs(node, where)
        seen = set()
        for parameter in node.get("parameters", []):
            parameter = self.resolve(parameter, where, "parameters")
            place = f"{where} {parameter.get('name')}"
            self.fields("parameter", parameter, place)
            key = (parameter["in"], parameter["name"])
            if key in seen:
                self.no(place, "comes twice")
            seen.add(key)
            if parameter["in"] not in ("path", "query", "header", "cookie"):
                self.no(place, f"in {parameter['in']}")
            if parameter["in"] == "path" and parameter.get("required") is not True:
                self.no(place, "parameters of the path are required")
            if parameter["in"] == "header" and parameter["name"].lower() in ("accept", "content-type", "authorization"):
                self.no(place, "is ignored as a parameter")
            self.schema(parameter.get("schema", {}), place)
        in_path = set(re.findall(r"{([^}]*)}", path or ""))
        declared = {name for place, name in seen if place == "path"}
        if in_path != declared:
            self.no(where, f"the path has {sorted(in_path)}, the parameters are {sorted(declared)}")
        if "requestBody" in node:
            self.fields("body", node["requestBody"], where)
            self.content(node["requestBody"].get("content", {}), f"{where} body")
        if not node.get("responses"):
            self.no(where, "there is at least one response")
        for status, response in node.get("responses", {}).items():
            if not STATUS.fullmatch(status):
                self.no(where, f"{status} is no status")
            self.response(response, f"{where} {status}")
        self.security(node.get("security", []), where)
        for side, message in node.get("x-websocket", {}).items():
            self.schema(message, f"{where} {side}")

    def components(self, node):
        self.fields("components", node, "components")
        for kind, entries in node.items():
            for name in entries:
                if not COMPONENT.fullmatch(name):
                    self.no(kind, f"{name!r} is no name")
        for name, one in node.get("schemas", {}).items():
            self.schema(one, f"schema {name}")
        for name, one in node.get("responses", {}).items():
            self.response(one, f"response {name}")
        for name, one in node.get("securitySchemes", {}).items():
            where = f"security scheme {name}"
            self.fields("scheme", one, where)
            needs = {"apiKey": {"name", "in"}, "http": {"scheme"}, "openIdConnect": {"openIdConnectUrl"}, "oauth2": {"flows"},
                     "mutualTLS": set()}
            for field in needs.get(one.get("type"), {"a known type"}) - one.keys():
                self.no(where, f"{field} is missing")
        for kind in ("schemas", "responses"):
            for name in node.get(kind, {}):
                if f"#/components/{kind}/{name}" not in self.used:
                    self.no(kind, f"nobody uses {name}")

    def run(self):
        document = self.document
        self.fields("document", document, "document")
        if not re.fullmatch(r"3\.1\.\d+", document["openapi"]):
            self.no("openapi", document["openapi"])
        self.fields("info", document["info"], "info")
        self.fields("contact", document["info"].get("contact", {}), "contact")
        if "license" in document["info"]:
            self.fields("license", document["info"]["license"], "license")
        for server in document.get("servers", []):
            self.fields("server", server, "server")
        self.external_docs(document, "document")
        shapes = {}
        for path, item in document.get("paths", {}).items():
            if not path.startswith("/"):
                self.no(path, "a path begins with /")
            other = shapes.setdefault(re.sub(r"{[^}]*}", "{}", path), path)
            if other != path:
                self.no(path, f"is the same path as {other}")
            self.item(item, path, path)
        for name, item in document.get("webhooks", {}).items():
            self.item(item, f"webhook {name}")
        self.security(document.get("security", []), "document")
        self.components(document.get("components", {}))
        tags = [tag["name"] for tag in document.get("tags", [])]
        if len(tags) != len(set(tags)):
            self.no("tags", "a name comes twice")
        for tag in document.get("tags", []):
            self.fields("tag", tag, "tag")
            self.external_docs(tag, f"tag {tag['name']}")
        return self.problems


def without_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f"a key comes twice among {[key for key, _ in pairs]}")
    return result


def main():
    printed = read_document(sys.argv[1])
    problems = Check(json.loads(printed, object_pairs_hook=without_duplicates)).run()
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
