"""Checks the custom resources of Kubernetes in files: check.py FOLDER FILE...

The folder has the module cache of Go with the definitions. Unknown fields are mistakes.
"""

import pathlib
import sys

import jsonschema
import yaml

DEFINITIONS = [
    "github.com/envoyproxy/gateway@*/charts/gateway-helm/crds/generated/*.yaml",
    "istio.io/api@*/kubernetes/customresourcedefinitions.gen.yaml",
]


def strict(schema):
    """The schema, which refuses unknown fields."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(part) for name, part in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and "type" in schema and not is_open:
        schema["additionalProperties"] = False
    return schema


def definitions(modules):
    """The schemas of custom resources, by their apiVersion and kind."""
    schemas = {}
    for pattern in DEFINITIONS:
        for file in modules.glob(pattern):
            for definition in yaml.safe_load_all(file.read_text()):
                spec = definition["spec"]
                for version in spec["versions"]:
                    api_version = f"{spec['group']}/{version['name']}"
                    schema = version["schema"]["openAPIV3Schema"]
                    schema["properties"].update(apiVersion={}, kind={}, metadata={})
                    schemas[api_version, spec["names"]["kind"]] = strict(schema)
    return schemas


def main(folder, *files):
    schemas = definitions(pathlib.Path(folder))
    for file in files:
        for document in yaml.safe_load_all(pathlib.Path(file).read_text()):
            key = document["apiVersion"], document["kind"]
            jsonschema.validate(document, schemas[key])
            print(*key)


main(*sys.argv[1:])
