"""`fuzz` of RealWorld to its end, as users that it makes itself and as one who has logged in: it finds nothing."""
import json
import subprocess

import harness
from harness import Case, main

JANE = {"username": "jane", "email": "jane@example.com", "password": "long enough"}


class Fuzz(Case):
    def fuzz(self, service, *flags):
        command = [harness.PROGRAM, "fuzz", "--yes", "--report", "-", *flags]
        done = subprocess.run(command, env=service.environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=170, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr.decode())
        return done.returncode, json.loads(done.stdout)

    def test_signs_up_and_logs_in_by_itself(self):
        service = self.service()
        self.assertEqual(service.stop(), 0)

        code, report = self.fuzz(service, "--cases", "300")

        findings = [f"{one['operation']}: {one['check']}: {one['message']}\n{one['curl']}" for one in report["findings"]]
        self.assertEqual(findings, [])
        self.assertEqual(code, 0)
        successes = {one["operation"]: one["successes"] for one in report["operations"]}
        self.assertEqual(len(successes), 19)
        for operation in ("POST /api/users/login", "GET /api/user", "POST /api/articles", "PUT /api/articles/{slug}"):
            self.assertGreater(successes[operation], 0, f"{operation}: it has logged in by itself")

    def test_finds_nothing_as_a_user_who_has_logged_in(self):
        service = self.service()
        self.assertEqual(service.ask("POST", "/api/users", {"user": JANE}).status, 201)
        credentials = {name: JANE[name] for name in ("email", "password")}
        answer = service.ask("POST", "/api/users/login", {"user": credentials})
        self.assertEqual(answer.status, 200)
        token = answer.json["user"]["token"]
        self.assertEqual(service.stop(), 0)

        code, report = self.fuzz(service, "--cases", "300", "--auth", f"Token {token}")

        findings = [f"{one['operation']}: {one['check']}: {one['message']}\n{one['curl']}" for one in report["findings"]]
        self.assertEqual(findings, [])
        self.assertEqual(code, 0)
        self.assertEqual(len(report["operations"]), 19)
        successes = {one["operation"]: one["successes"] for one in report["operations"]}
        for operation in ("POST /api/users", "GET /api/user", "POST /api/articles", "PUT /api/articles/{slug}"):
            self.assertGreater(successes[operation], 0, f"{operation}: the token lets in")

    def test_leaves_the_database_alone_when_it_has_one_to_throw_away(self):
        service = self.service()
        before = service.ask("GET", "/api/articles?limit=1").json["articlesCount"]

        code, report = self.fuzz(service, "--cases", "1000", "--throwaway")

        self.assertEqual((code, report["findings"]), (0, []))
        self.assertEqual(service.ask("GET", "/api/articles?limit=1").json["articlesCount"], before)
        kinds = report["kinds"]
        self.assertEqual(sum(kinds.values()), report["cases"])
        self.assertGreater(kinds["alone"] + kinds["sequences"], report["cases"] / 5, "data that fits")
        self.assertEqual(service.stop(), 0)


if __name__ == "__main__":
    main()
