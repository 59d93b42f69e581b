"""The alert rules under deploy/alerts: every metric in them exists, and promtool, where it is at hand, accepts and runs them."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "alerts"
UNITS = {"By": "_bytes", "s": "_seconds", "1": "_ratio"}  # as prometheus_name() in ashlar/telemetry writes them


def known_metrics():
    """Names of the metrics that ashlar/pg makes, as Prometheus sees them; its source names each one beside its unit."""
    known = {"postgresql_up"}
    for path in (ROOT / "ashlar" / "pg").rglob("*.cpp"):
        source = path.read_text(encoding="utf-8")
        for match in re.finditer(r'\.name = "((?:pg|postgresql)\.[\w.]+)"', source):
            after = source[match.end():match.end() + 400].split(".name =")[0]
            unit = re.search(r'\.unit = "([^"]*)"', after)
            name = match.group(1).replace(".", "_") + UNITS.get(unit.group(1) if unit else "", "")
            known |= {name, name + "_total"}
    return known


def main():
    rules = sorted(ALERTS.glob("*.rules.yml"))
    if not rules:
        sys.exit(f"{ALERTS}: no rules")
    known, wrong = known_metrics(), []
    for path in rules:
        used = set(re.findall(r"\b(?:pg|postgresql)_[a-z_]+\b", "\n".join(
            line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#"))))
        if not used:
            wrong.append(f"{path}: no metric in it")
        wrong += [f"{path}: nothing makes the metric {name}" for name in sorted(used - known)]
    if wrong:
        sys.exit("\n".join(wrong))
    promtool = shutil.which("promtool")
    if promtool is None:
        print("skipped: promtool is not installed (Debian: prometheus)")
        sys.exit(77)
    for words in ([["check", "rules", str(path)] for path in rules] +
                  [["test", "rules", str(path)] for path in sorted(ALERTS.glob("*.tests.yml"))]):
        subprocess.run([promtool, *words], check=True, cwd=ALERTS)


main()
