#!/usr/bin/env python3
"""Usage: contract.py PROGRAM CONTRACT.json DIFFERENCES.json

Compares the document that `PROGRAM openapi` prints with a contract that somebody else wrote: operations, parameters,
bodies, answers, security. Constraints, formats, defaults and descriptions that the contract leaves open may be there in
addition; every other difference has to be in DIFFERENCES.json with its reason ("*" stands for anything), and has to exist.
"""
import fnmatch
import json
import sys

from document import read_document

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KEYWORDS = ("format", "minimum", "maximum", "minLength", "maxLength", "pattern", "default", "enum", "const")


class Document:
    def __init__(self, document):
        self.document = document

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node_path = node["$ref"].removeprefix("#/").split("/")
            node = self.document
            for part in node_path:
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def types(self, schema):
        """({"string", "null"}, the schema of what is not null)."""
        schema = self.resolve(schema)
        choices = [self.resolve(one) for one in schema.get("anyOf", [])]
        if {"type": "null"} in choices and len(choices) == 2:
            value = next(one for one in choices if one != {"type": "null"})
            return self.types(value)[0] | {"null"}, value
        given = schema.get("type", [])
        return set([given] if isinstance(given, str) else given), schema

    def operations(self, prefix=""):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield f"{method.upper()} {prefix}{path}", item[method]


class Comparison:
    def __init__(self, contract, ours):
        self.contract, self.ours = Document(contract), Document(ours)
        self.found = []

    def differ(self, where, what):
        self.found.append(f"{where}: {what}")

    def equal(self, where, contract, ours):
        if contract != ours:
            self.differ(where, f"{json.dumps(contract)} in the contract, {json.dumps(ours)} here")

    def names(self, where, contract, ours):
        for name in sorted(set(contract) - set(ours)):
            self.differ(where, f"{name} is missing")
        for name in sorted(set(ours) - set(contract)):
            self.differ(where, f"{name} is in addition")
        return sorted(set(contract) & set(ours))

    def schema(self, where, contract, ours):
        wanted, contract = self.contract.types(contract)
        given, ours = self.ours.types(ours)
        self.equal(f"{where} type", sorted(wanted), sorted(given))
        for keyword in KEYWORDS:
            if keyword in contract:
                self.equal(f"{where} {keyword}", contract[keyword], ours.get(keyword))
        self.names(f"{where} required", contract.get("required", []), ours.get("required", []))
        for name in self.names(f"{where} properties", contract.get("properties", {}), ours.get("properties", {})):
            self.schema(f"{where}.{name}", contract["properties"][name], ours["properties"][name])
        if "items" in contract:
            self.schema(f"{where}[]", contract["items"], ours.get("items", {}))
        if "additionalProperties" in contract:
            self.schema(f"{where}.*", contract["additionalProperties"], ours.get("additionalProperties", {}))

    def content(self, where, contract, ours):
        for kind in self.names(where, contract.get("content", {}), ours.get("content", {})):
            self.schema(where, contract["content"][kind]["schema"], ours["content"][kind]["schema"])

    def parameters(self, where, contract, ours):
        def by_name(document, operation):
            resolved = [document.resolve(one) for one in operation.get("parameters", [])]
            return {f"{one['in']} {one['name']}": one for one in resolved}

        wanted, given = by_name(self.contract, contract), by_name(self.ours, ours)
        for name in self.names(f"{where} parameters", wanted, given):
            self.equal(f"{where} {name} required", wanted[name].get("required", False),
                       given[name].get("required", False))
            self.schema(f"{where} {name}", wanted[name]["schema"], given[name]["schema"])

    def operation(self, where, contract, ours):
        self.equal(f"{where} operationId", contract["operationId"], ours["operationId"])
        self.equal(f"{where} tags", contract.get("tags", []), ours.get("tags", []))
        self.equal(f"{where} security", contract.get("security", []), ours.get("security", []))
        self.parameters(where, contract, ours)
        bodies = [d.resolve(o.get("requestBody", {})) for d, o in ((self.contract, contract), (self.ours, ours))]
        self.equal(f"{where} body required", *(body.get("required", False) for body in bodies))
        self.content(f"{where} body", *bodies)
        for status in self.names(f"{where} answers", contract["responses"], ours["responses"]):
            self.content(f"{where} {status}", self.contract.resolve(contract["responses"][status]),
                         self.ours.resolve(ours["responses"][status]))

    def run(self):
        contract = self.contract.document
        prefix = "/" + contract["servers"][0]["url"].split("//")[-1].partition("/")[2]
        wanted, given = dict(self.contract.operations(prefix)), dict(self.ours.operations())
        for name in self.names("operations", wanted, given):
            self.operation(name, wanted[name], given[name])
        schemes = [d.document["components"].get("securitySchemes", {}) for d in (self.contract, self.ours)]
        for name in self.names("security schemes", *schemes):
            for key in ("type", "name", "in", "scheme"):
                self.equal(f"security scheme {name} {key}", *(one[name].get(key) for one in schemes))
        return self.found


def main():
    program, contract_path, differences_path = sys.argv[1:]
    printed = read_document(program)
    with open(contract_path) as contract, open(differences_path) as differences:
        found = Comparison(json.load(contract), json.loads(printed)).run()
        allowed = [line for group in json.load(differences) for line in group["differences"]]

    def is_like(line, pattern):
        return fnmatch.fnmatchcase(line, pattern.replace("[", "[[]"))

    unexplained = [line for line in found if not any(is_like(line, pattern) for pattern in allowed)]
    gone = [pattern for pattern in allowed if not any(is_like(line, pattern) for line in found)]
    for line in unexplained:
        print(f"not as in the contract: {line}")
    for pattern in gone:
        print(f"{differences_path} explains a difference that is not there: {pattern}")
    print(f"{len(found)} differences, {len(unexplained)} unexplained")
    sys.exit(1 if unexplained or gone else 0)


main()
