"""The advisor, as people use it: look, write migrations, apply them, and let CI watch over the plans."""
import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

import harness
from harness import PATIENCE, Case, main

HERE = Path(__file__).resolve().parent
FAULTS = """
create table remarks (
  id bigint generated always as identity primary key,
  note_id bigint not null references notes on delete cascade,
  text text not null
);
create index remarks_text on remarks (text);
create index remarks_text_again on remarks (text);

-- migrate:down
drop table remarks;
"""
ROWS = """
insert into notes (text) select 'note ' || i from generate_series(1, 20000) i;
insert into remarks (note_id, text) select 1 + i % 20000, 'remark ' || i from generate_series(1, 20000) i;
"""


class Advice(Case):
    def setUp(self):
        super().setUp()
        self.server = self.postgres()
        self.server.sql("create database blog")
        self.url = self.server.url.replace("///postgres", "///blog")
        self.migrations = self.folder / "migrations"
        shutil.copytree(HERE / "migrations", self.migrations)
        (self.migrations / "0002_remarks.sql").write_text(FAULTS)

    def run_command(self, *words, code=0):
        """What a command of the service prints, when it ends as expected."""
        done = subprocess.run([harness.PROGRAM, *words], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=10 * PATIENCE, env={
                                  **{name: os.environ[name] for name in harness.SANITIZED if name in os.environ},
                                  "PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                                  "ASHLAR_DATA_DIR": str(self.folder / "data"), "SERVICE_DATABASE": "1",
                                  "SERVICE_MIGRATIONS": str(self.migrations), "DATABASE_URL": self.url})
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def sql(self, *statements):
        for statement in statements:
            subprocess.run([self.server.binaries / "psql", "-XAtqc", statement, self.url], check=True, cwd="/",
                           capture_output=True)

    def rules(self):
        return sorted(finding["rule"] for finding in json.loads(self.run_command("advise", "--json"))["findings"])

    def names(self):
        return sorted(file.name for file in self.migrations.iterdir())

    def test_what_is_written_and_applied_leaves_nothing_to_say_and_ci_sees_when_it_is_undone(self):
        self.run_command("migrate")
        self.sql(ROWS, "analyze")
        self.assertIn("no index of notes serves its conditions", self.run_command("explain", "notes_by_text"))
        before = self.names()
        self.assertEqual(self.rules(), ["duplicate-index", "foreign-key-without-index", "missing-index"])
        self.assertEqual(self.names(), before, "nothing is written before it is asked for")
        self.run_command("advise", "--check", code=1)

        text = self.run_command("advise", "--write")
        self.assertIn("create index notes_text_idx on notes (text)", text)
        self.assertEqual(self.names(), [*before, "0003_missing_index_notes.sql", "0004_foreign_key_without_index_remarks.sql",
                                        "0005_duplicate_index_remarks.sql"])
        self.run_command("migrate")
        self.assertIn("0 findings", self.run_command("advise", "--check"))

        plans = str(self.folder / "plans.json")
        self.run_command("explain", "--write", plans)
        self.assertIn("no query has lost an index", self.run_command("explain", "--check", plans))
        self.sql("drop index notes_text_idx")
        self.assertIn("worse: notes_by_text", self.run_command("explain", "--check", plans, code=1))
        self.assertEqual(self.rules(), ["missing-index"])

    def test_while_the_service_runs_it_advises_without_a_copy_and_says_so(self):
        self.run_command("migrate")
        self.sql(ROWS, "analyze")
        service = self.service("--drain-grace", "0.1", environment={
            "SERVICE_DATABASE": "1", "SERVICE_MIGRATIONS": str(self.migrations), "DATABASE_URL": self.url})
        self.assertEqual(service.ask(target="/notes/find?text=note%207").json, [{"id": 7, "text": "note 7"}])
        advice = json.loads(self.run_command("advise", "--json"))
        self.assertIn("other programs are connected", "\n".join(advice["notes"]))
        self.assertIn("missing-index", [finding["rule"] for finding in advice["findings"]])
        self.assertEqual(service.ask(target="/notes/find?text=note%208").json, [{"id": 8, "text": "note 8"}])


if __name__ == "__main__":
    main()
