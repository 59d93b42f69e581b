"""Each layer includes only what it may know: the domain knows nobody, and nobody but the infrastructure the database."""
import pathlib
import re
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

# Layers below, and modules of Ashlar.
MAY_INCLUDE = {
    "domain": ({"domain"}, {"base"}),
    "application": ({"application", "domain"}, {"base", "async"}),
    "infrastructure": ({"infrastructure", "application", "domain"}, {"base", "async", "schema", "pg"}),
    "api": ({"api", "application", "domain"}, {"base", "async", "schema", "http", "app", "ashlar.hpp"}),
}


def problems(root):
    for layer, (layers, modules) in MAY_INCLUDE.items():
        for file in sorted(pathlib.Path(root, layer).glob("*.?pp")):
            for header in INCLUDE.findall(file.read_text()):
                parts = header.split("/")
                if parts[0] == "ashlar" and parts[1] not in modules:
                    yield f"{layer}/{file.name} includes <{header}>: {layer} may know {', '.join(sorted(modules))} of Ashlar"
                if parts[0] in MAY_INCLUDE and parts[0] not in layers:
                    yield f'{layer}/{file.name} includes "{header}": {layer} may know {", ".join(sorted(layers))}'


class Layers(unittest.TestCase):
    def test_include_only_what_they_may_know(self):
        self.assertEqual(list(problems(HERE)), [])

    def test_all_have_files(self):
        for layer in MAY_INCLUDE:
            self.assertTrue(list(HERE.joinpath(layer).glob("*.hpp")), layer)

    def refused(self, layer, line):
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root, layer)
            folder.mkdir()
            folder.joinpath("x.hpp").write_text(f"#pragma once\n{line}\n")
            return list(problems(root))

    def test_the_domain_knows_no_database_and_no_http(self):
        for header in ("pg/db.hpp", "app/app.hpp", "http/request.hpp", "ashlar.hpp"):
            self.assertEqual(len(self.refused("domain", f"#include <ashlar/{header}>")), 1, header)
        self.assertEqual(self.refused("domain", "#include <ashlar/base/uuid.hpp>"), [])

    def test_nothing_includes_what_stands_above_it(self):
        for layer, header in (("domain", "application/ports.hpp"), ("application", "infrastructure/tables.hpp"),
                              ("application", "api/routes.hpp"), ("api", "infrastructure/tables.hpp")):
            self.assertEqual(len(self.refused(layer, f'#include "{header}"')), 1, header)


if __name__ == "__main__":
    unittest.main()
