"""Starting and stopping as people do it: by Ctrl-C, again and again, as root or not; and refusing with words that help."""
import os
import pwd
import shutil
import signal
import socket
import tempfile
import unittest
from pathlib import Path

import harness
from harness import Case, alive, eventually, main, request

HERE = Path(__file__).resolve().parent


class CtrlC(Case):
    """The terminal sends SIGINT to everything in the foreground: the service and what it has started."""

    def test_finishes_the_open_requests_and_stops_postgresql(self):
        service = self.service("--drain-grace", "0.2", database=True)
        postgres = service.postgres_pid()
        wires = [self.connect(service) for _ in range(5)]
        for wire in wires:
            wire.send(request("POST", "/notes/slowly?ms=700", {"text": "late"}))
        eventually(lambda: service.metric("ashlar_http_requests_suspended") >= 5, "they are being handled")
        os.killpg(os.getpgid(service.pid), signal.SIGINT)
        self.assertEqual([wire.answer().status for wire in wires], [201] * 5)
        self.assertEqual(service.wait(), 0, service.text)
        self.assertFalse(alive(postgres))
        self.assertEqual(service.journal[-1][:7], "stopped")
        self.assertFalse([line for line in service.output if line and '"level":"error"' in line.lower()])

    def test_a_second_start_is_quick(self):
        first = self.service("--drain-grace", "0.1", database=True)
        self.assertEqual(first.stop(signal.SIGINT), 0)
        second = self.service("--drain-grace", "0.1", database=True)
        print(f"[first start {first.took:.2f} s, second {second.took:.2f} s] ", end="", flush=True)
        self.assertLess(second.took, 5, "2 s on a quiet machine")
        self.assertEqual(second.stop(), 0)

    def test_nothing_is_left_behind(self):
        service = self.service("--drain-grace", "0.1", database=True)
        self.assertEqual(service.stop(signal.SIGINT), 0)
        self.assertFalse(Path((service.data / "postgres" / "ashlar.socket").read_text()).exists())
        self.assertFalse((service.data / "postgres" / "postmaster.pid").exists())


class Refusals(Case):
    """A service that cannot serve says so before it serves, with what to do, and ends with a code that is not 0."""

    def refused(self, *flags, code=1, **options):
        service = self.service(*flags, start=False, **options)
        self.assertEqual(service.wait(), code, service.text)
        self.assertIsNone(service.find_log('"serving"'))
        return service.text

    def test_a_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            text = self.refused(port=port)
            self.assertIn(f"127.0.0.1:{port}", text)
            self.assertIn("in use", text)

    def test_a_port_that_another_service_uses(self):
        first = self.service()
        text = self.refused(port=first.address[1])
        self.assertIn("in use", text)

    def test_settings_that_are_wrong(self):
        text = self.refused(environment={"ASHLAR_THREADS": "many", "ASHLAR_MAX_BODY_BYTES": "-1"})
        self.assertIn("ASHLAR_THREADS", text)
        self.assertIn("ASHLAR_MAX_BODY_BYTES", text)
        self.assertIn("ASHLAR_HEADER_TIMEOUT_SECONDS", self.refused(environment={"ASHLAR_HEADER_TIMEOUT_SECONDS": "-1"}))
        for port in ("eighty", "65536", "-1", "80 80"):
            self.assertIn("ASHLAR_PORT", self.refused(environment={"ASHLAR_PORT": port}))
        self.assertIn("--header-timeout", self.refused("--header-timeout", "0", code=2))
        self.assertIn("--nonsense", self.refused("--nonsense", code=2))
        self.assertIn("nowhere", self.refused("--host", "nowhere.invalid"))

    def test_a_resource_that_nobody_provides(self):
        self.assertIn("Missing", self.refused(environment={"SERVICE_WITHOUT_RESOURCE": "1"}))

    def test_a_database_that_is_not_there(self):
        text = self.refused(environment={"SERVICE_DATABASE": "1",
                                         "DATABASE_URL": f"postgresql://me:hush@127.0.0.1:{self.free_port()}/db"})
        self.assertIn("the database cannot be used", text)
        self.assertIn("DATABASE_URL", text)
        self.assertIn("refused", text)
        self.assertNotIn("hush", text)
        text = self.refused(environment={"SERVICE_DATABASE": "1", "DATABASE_URL": f"postgresql:///db?host={self.folder}"})
        self.assertIn(str(self.folder), text)
        text = self.refused(environment={"SERVICE_DATABASE": "1", "DATABASE_URL": "mysql://localhost/db"})
        self.assertIn("postgresql://", text)

    def free_port(self):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return one.getsockname()[1]

    def test_a_data_folder_that_cannot_be_used(self):
        (self.folder / "data").write_text("a file")
        text = self.refused(database=True)
        self.assertIn(str(self.folder / "data"), text)


class Migrations(Case):
    """What is in the folder of migrations and what is in the database must agree, and every query with both."""

    @classmethod
    def setUpClass(cls):
        cls.case = Case()
        cls.case.setUp()
        cls.server = cls.case.postgres()

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def setUp(self):
        super().setUp()
        self.server.empty()
        self.migrations = self.folder / "migrations"
        shutil.copytree(HERE / "migrations", self.migrations)
        self.environment = {"SERVICE_DATABASE": "1", "DATABASE_URL": self.server.url, "SERVICE_MIGRATIONS": str(self.migrations)}

    def refused(self):
        service = self.service(start=False, environment=self.environment)
        self.assertEqual(service.wait(), 1, service.text)
        return service.text

    def starts(self):
        self.assertEqual(self.service("--drain-grace", "0.1", environment=self.environment).stop(), 0)

    def test_a_query_that_does_not_fit_its_row(self):
        file = self.migrations / "0001_notes.sql"
        file.write_text(file.read_text().replace("text text not null", "text int not null"))
        text = self.refused()
        line = next(i for i, line in enumerate((HERE / "service.cpp").read_text().splitlines(), 1) if "insert_note{" in line)
        self.assertIn(f"service.cpp:{line}", text)
        self.assertRegex(text, r"column 2 `text` is int4 .* the member `text` is std::string")
        self.assertRegex(text, r"parameter \$1 is int4 .* its argument is std::string")

    def test_a_query_of_a_table_that_is_not_there(self):
        (self.migrations / "0001_notes.sql").write_text("create table others (id int);")
        text = self.refused()
        self.assertIn('relation "notes" does not exist', text)
        self.assertIn("service.cpp:", text)

    def test_a_migration_that_is_broken_is_named_with_its_line_and_leaves_nothing(self):
        bad = self.migrations / "0002_broken.sql"
        bad.write_text("create table halfway (id int);\n\ncreate table nonsense (id no_such_type);\n")
        text = self.refused()
        self.assertIn("0002_broken.sql:3", text)
        self.assertIn("no_such_type", text)
        bad.write_text("create table halfway (id int);\n")
        self.starts()

    def test_a_migration_that_was_changed_after_it_was_applied(self):
        self.starts()
        file = self.migrations / "0001_notes.sql"
        file.write_text("-- a remark\n" + file.read_text())
        text = self.refused()
        self.assertIn("0001", text)
        self.assertIn("changed", text)

    def test_a_migration_that_is_missing(self):
        second = self.migrations / "0002_more.sql"
        second.write_text("create table more (id int);\n")
        self.starts()
        second.unlink()
        text = self.refused()
        self.assertIn("0002", text)
        self.assertIn("missing", text)

    def test_two_services_migrate_at_the_same_time(self):
        services = [self.service("--drain-grace", "0.1", start=False, environment=self.environment) for _ in range(3)]
        for service in services:
            service.wait_until_serving()
        self.assertEqual([service.stop() for service in services], [0, 0, 0])


class Users(Case):
    """The private PostgreSQL needs no rights, and works when there are too many."""

    def works(self, service):
        self.assertEqual(service.ask("POST", "/notes", {"text": "a"}).status, 201)
        self.assertEqual(service.ask(target="/notes/count").json, 1)
        owner = os.stat(f"/proc/{service.postgres_pid()}").st_uid
        self.assertNotEqual(owner, 0)
        self.assertEqual(service.stop(), 0)
        return owner

    @unittest.skipUnless(os.geteuid() == 0, "only root can be root")
    def test_root(self):
        self.assertIn(pwd.getpwuid(self.works(self.service("--drain-grace", "0.1", database=True))).pw_name, ("postgres", "nobody"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be root")
    def test_root_with_data_where_no_other_user_may_go(self):
        self.folder.chmod(0o700)
        service = self.service("--drain-grace", "0.1", database=True)
        elsewhere = (service.data / "postgres").resolve()
        self.addCleanup(shutil.rmtree, elsewhere, ignore_errors=True)
        self.assertTrue(elsewhere.is_relative_to("/var/lib/ashlar"), elsewhere)
        self.assertIn(str(elsewhere), service.find_log("who may not enter")["message"])
        self.works(service)
        # It is found again.
        service = self.service("--drain-grace", "0.1", database=True)
        self.assertEqual(service.ask(target="/notes/count").json, 1)
        self.assertEqual(service.stop(), 0)

    def test_an_ordinary_user(self):
        if os.geteuid() != 0:
            self.assertEqual(self.works(self.service("--drain-grace", "0.1", database=True)), os.geteuid())
            return
        nobody = pwd.getpwnam("nobody")
        # Where that user may read it; memory's file system may forbid to run programs.
        place = tempfile.mkdtemp(prefix="ashlar-e2e-", dir="/tmp")
        self.addCleanup(shutil.rmtree, place)
        os.chmod(place, 0o755)
        program = Path(shutil.copy(harness.PROGRAM, place))
        program.chmod(0o755)
        migrations = self.folder / "migrations"
        shutil.copytree(HERE / "migrations", migrations)
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        service = self.service("--drain-grace", "0.1", database=True, user="nobody", program=program,
                               environment={"SERVICE_MIGRATIONS": str(migrations)})
        self.assertEqual(os.stat(f"/proc/{service.pid}").st_uid, nobody.pw_uid)
        self.assertEqual(self.works(service), nobody.pw_uid)


if __name__ == "__main__":
    main()
