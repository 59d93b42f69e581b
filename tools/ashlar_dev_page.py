"""The page that browsers get from `ashlar dev` while a project is broken. It needs no script, and comes back by itself."""
import html
import re

ESCAPES = re.compile(r"\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-z]")
DIAGNOSTIC = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<kind>(?:fatal )?error|warning|note): (?P<text>.*)$")
SHOWN = 400  # lines: the first errors are the ones to read

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --soft: #5b6370; --line: #e3e6ea; --box: #f6f7f9;
  --error: #b3261e; --error-back: #fdf0ef; --warning: #8a5a00; --note: #25618f }
@media (prefers-color-scheme: dark) { :root { --back: #14161a; --text: #e6e8eb; --soft: #9aa3af; --line: #2c3138; --box: #1b1e23;
  --error: #ff8a80; --error-back: #2d1a1b; --warning: #e5b567; --note: #86b8e0 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1100px; margin: 0 auto; padding: 40px 24px }
h1 { margin: 0; font-size: 24px; line-height: 1.25; overflow-wrap: anywhere }
p { margin: 8px 0 24px; color: var(--soft) }
ol { list-style: none; margin: 0 0 24px; padding: 0 }
li { border-left: 3px solid var(--error); background: var(--error-back); padding: 10px 14px; margin-bottom: 8px;
  border-radius: 0 6px 6px 0; overflow-wrap: anywhere }
li code { display: block; color: var(--soft); font-size: 13px }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
pre { margin: 0; padding: 16px; font-size: 13px; line-height: 1.45; background: var(--box); border: 1px solid var(--line);
  border-radius: 6px; overflow-x: auto; tab-size: 2 }
.error { color: var(--error); font-weight: 600 } .warning { color: var(--warning) } .note { color: var(--note) }
@media (max-width: 600px) { main { padding: 24px 16px } pre { padding: 12px; font-size: 12px } }
"""


def render(title, note, output, root):
    lines = ESCAPES.sub("", output).replace(str(root) + "/", "").replace("\r", "").splitlines()
    lines = [re.sub(r"^(?:\.\./)+(?=\S+:\d+:)", "", line) for line in lines]
    errors, shown = [], []
    for line in lines[:SHOWN] if any(DIAGNOSTIC.match(x) for x in lines[:SHOWN]) else lines[-SHOWN:]:
        found = DIAGNOSTIC.match(line)
        kind = found["kind"].split()[-1] if found else None
        if kind == "error" and len(errors) < 20:
            place = f"{found['file']}:{found['line']}" + (f":{found['column']}" if found["column"] else "")
            errors.append(f"<li><code>{html.escape(place)}</code>{html.escape(found['text'])}</li>")
        text = html.escape(line)
        shown.append(f'<span class="{kind}">{text}</span>' if kind else text)
    if len(lines) > len(shown):
        shown.append(f"… {len(lines) - len(shown)} lines more in the terminal")
    summary = f"<ol>{''.join(errors)}</ol>" if errors else ""
    body = "<pre>" + "\n".join(shown) + "</pre>" if lines else ""
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="2">'
            f"<style>{STYLE}</style></head>\n<body><main><h1>{html.escape(title)}</h1><p>{html.escape(note)}</p>{summary}{body}"
            f"</main></body></html>\n")
