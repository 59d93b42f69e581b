// The page to try it with: its text, its style, and its script, which keeps the connection.
#pragma once

#include <string_view>

namespace chat {

inline constexpr std::string_view kPage = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<meta name="color-scheme" content="light dark">
<title>Chat</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path fill='%234f46e5' d='M3 1h10a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H8l-4 4v-4H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2'/></svg>">
<link rel="stylesheet" href="chat.css">
<script type="module" src="chat.js"></script>
<header>
  <h1 id="room"></h1>
  <p id="state" role="status"></p>
  <button id="you" type="button" aria-haspopup="dialog"></button>
</header>
<main>
  <div id="scroller" tabindex="0" role="region" aria-label="Messages">
    <div id="empty"><p><b>Nobody has said anything yet.</b></p><p>Open this page in a second window, or send somebody its address.</p></div>
    <ol id="log" role="log"></ol>
  </div>
  <button id="down" type="button" hidden></button>
</main>
<form id="form" autocomplete="off">
  <textarea id="text" rows="1" maxlength="500" enterkeyhint="send" aria-label="Message" placeholder="Say something"></textarea>
  <span id="left" aria-live="polite"></span>
  <button id="send" aria-label="Send" title="Send (Enter; Shift+Enter for a new line)" disabled>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 19V5m-7 7 7-7 7 7"/></svg>
  </button>
</form>
<dialog id="who" aria-labelledby="who-title">
  <form method="dialog" id="enter" autocomplete="off">
    <h2 id="who-title">Who are you?</h2>
    <label>Your name <input id="name" maxlength="20" required pattern=".*\S.*" title="At least one letter"></label>
    <label>Room <input id="where" maxlength="40" required pattern=".*\S.*" title="At least one letter"></label>
    <button>Come in</button>
  </form>
</dialog>
<noscript>This page needs JavaScript.</noscript>
</html>
)page";

inline constexpr std::string_view kStyle = R"page(:root {
  color-scheme: light dark;
  --page: light-dark(#f5f5f7, #111216);
  --card: light-dark(#ffffff, #1c1e24);
  --line: light-dark(#e0e1e6, #31343d);
  --text: light-dark(#1b1c20, #ececf0);
  --quiet: light-dark(#5f626b, #a0a4b0);
  --own: light-dark(#4f46e5, #4f46e5);
  --accent: light-dark(#4f46e5, #a5b4fc);
  --good: light-dark(#15803d, #4ade80);
  --bad: light-dark(#b45309, #fbbf24);
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
body {
  display: grid; grid-template: auto minmax(0, 1fr) auto / minmax(0, 46rem); justify-content: center;
  height: 100dvh; background: var(--page); color: var(--text); font: 16px/1.45 system-ui, sans-serif;
}
button, input, textarea { font: inherit; color: inherit; }

header { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; min-width: 0; padding: .75rem 1rem; border-bottom: 1px solid var(--line); }
h1 { max-width: 60%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 1.125rem; }
#state { display: flex; align-items: center; gap: .4rem; min-width: 0; color: var(--quiet); font-size: .875rem; white-space: nowrap; }
#state::before { content: ""; flex: none; width: .5rem; height: .5rem; border-radius: 50%; background: var(--bad); }
#state[data-is=open]::before { background: var(--good); }
#state:not([data-is=open]) { color: var(--bad); }
#state:empty, #you:empty { display: none; }
@media (max-width: 30rem) { #state:not([data-is=open]) { order: 1; flex-basis: 100%; white-space: normal; } }
#you {
  max-width: 10rem; margin-left: auto; padding: .3rem .8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  border: 1px solid var(--line); border-radius: 99rem; background: var(--card); font-size: .875rem; cursor: pointer;
}

main { position: relative; display: grid; min-height: 0; }
#scroller { display: flex; flex-direction: column; overflow-y: auto; overscroll-behavior: contain; padding: 1rem; outline-offset: -2px; }
#empty { display: grid; gap: .25rem; flex: 1; place-content: center; text-align: center; color: var(--quiet); }
#log { display: flex; flex-direction: column; padding: 0; list-style: none; }
#log:empty { display: none; }
#log > li { margin-top: .9rem; }
#log > li:first-child { margin-top: 0; }
.note { color: var(--quiet); font-size: .8125rem; text-align: center; overflow-wrap: anywhere; }
.said { display: grid; grid-template-columns: 2rem minmax(0, 1fr); column-gap: .6rem; max-width: 88%; align-self: start; }
.said > i {
  grid-row: 1 / 3; display: grid; place-items: center; width: 2rem; height: 2rem; border-radius: 50%; font: 600 .875rem/1 system-ui, sans-serif;
  background: light-dark(hsl(var(--hue) 65% 88%), hsl(var(--hue) 35% 28%)); color: light-dark(hsl(var(--hue) 75% 24%), hsl(var(--hue) 75% 84%));
}
.said > div { display: flex; gap: .5rem; align-items: baseline; min-width: 0; font-size: .8125rem; }
.said b { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.said time { color: var(--quiet); white-space: nowrap; }
.said > p {
  grid-column: 2; justify-self: start; max-width: 100%; margin-top: .2rem; padding: .5rem .8rem; border: 1px solid var(--line);
  border-radius: .3rem 1rem 1rem 1rem; background: var(--card); white-space: pre-wrap; overflow-wrap: anywhere;
}
#log > .goes-on { margin-top: .25rem; }
.goes-on > i, .goes-on > div { display: none; }
.goes-on > p { border-radius: 1rem; }
.said.own { grid-template-columns: minmax(0, 1fr); align-self: end; }
.own > i, .own b { display: none; }
.own > div { justify-self: end; }
.own > p { grid-column: 1; justify-self: end; border-color: transparent; border-radius: 1rem .3rem 1rem 1rem; background: var(--own); color: #fff; }
.own.goes-on > p { border-radius: 1rem; }
#down {
  position: absolute; bottom: .75rem; left: 50%; translate: -50%; padding: .4rem .9rem; border: 0; border-radius: 99rem;
  background: var(--own); color: #fff; font-size: .875rem; box-shadow: 0 2px 10px #0004; cursor: pointer;
}

#form {
  position: relative; display: flex; align-items: end; gap: .5rem; padding: .5rem 1rem max(1rem, env(safe-area-inset-bottom));
}
#text {
  flex: 1; min-width: 0; max-height: 9rem; padding: .65rem .9rem; resize: none; border: 1px solid var(--line); border-radius: 1.4rem;
  background: var(--card);
}
#text::placeholder { color: var(--quiet); opacity: 1; }
#text:focus-visible { outline-offset: -1px; }
#left { position: absolute; right: 5.5rem; top: -1.1rem; padding: 0 .5rem; border-radius: 99rem; background: var(--page); color: var(--quiet); font-size: .8125rem; }
#left:empty { display: none; }
#send { flex: none; display: grid; place-items: center; width: 2.9rem; height: 2.9rem; border: 0; border-radius: 50%; background: var(--own); color: #fff; cursor: pointer; }
#send:disabled { background: var(--line); color: var(--quiet); cursor: default; }
#send svg { width: 1.25rem; fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linecap: round; stroke-linejoin: round; }

dialog { width: min(22rem, calc(100vw - 2rem)); margin: auto; padding: 1.5rem; border: 1px solid var(--line); border-radius: 1rem; background: var(--card); color: var(--text); }
dialog::backdrop { background: light-dark(#0003, #0008); backdrop-filter: blur(3px); }
dialog form { display: grid; gap: 1rem; }
h2 { font-size: 1.25rem; }
label { display: grid; gap: .3rem; color: var(--quiet); font-size: .875rem; }
input { width: 100%; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--page); color: var(--text); font-size: 1rem; }
dialog button { padding: .65rem; border: 0; border-radius: .6rem; background: var(--own); color: #fff; font-weight: 600; cursor: pointer; }
)page";

inline constexpr std::string_view kScript = R"page(const byId = id => document.getElementById(id)
const [log, scroller, state, form, text, send, down, dialog] =
  ["log", "scroller", "state", "form", "text", "send", "down", "who"].map(byId)
const kMostLines = 500, kLongest = 500  // chat::Said takes no longer text

// ---- who and where
const remembered = key => { try { return localStorage.getItem(key) ?? "" } catch { return "" } }
const remember = (key, value) => { try { localStorage.setItem(key, value) } catch { /* for this visit only, then */ } }
const roomOfUrl = () => { try { return decodeURIComponent(location.hash.slice(1)).trim().slice(0, 40) } catch { return "" } }
let name = remembered("name").trim().slice(0, 20)
let room = roomOfUrl() || "lobby"

const ask = () => {
  byId("name").value = name
  byId("where").value = room
  if (!dialog.open) dialog.showModal()
}
byId("you").onclick = ask
dialog.oncancel = event => { if (!name) event.preventDefault() }  // Escape: nobody is here without a name
dialog.onclose = () => name ? text.focus() : ask()
byId("enter").onsubmit = () => {
  const before = [name, room].join("\n")
  name = byId("name").value.trim()
  room = byId("where").value.trim()
  remember("name", name)
  if (before === [name, room].join("\n")) return
  history.replaceState(null, "", "#" + encodeURIComponent(room))
  enter()
}
addEventListener("hashchange", () => {
  if ((roomOfUrl() || "lobby") === room) return
  room = roomOfUrl() || "lobby"
  if (name) enter()
})

// ---- lines. They wait for the next frame, so that a busy room costs one layout a frame, and a hidden one none.
let waiting = [], unseen = 0, last = {}
const show = line => {
  waiting.push(line)
  if (waiting.length === 1) requestAnimationFrame(draw)
  else if (waiting.length > kMostLines) waiting.shift()
}
const element = (kind, className, ...inside) => {
  const made = document.createElement(kind)
  if (className) made.className = className
  made.append(...inside)
  return made
}
const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit"})
const hue = who => [...who].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 997, 7) * 137 % 360

const drawNote = ({said}) => {
  if (last.notes && last.line.isConnected) {  // who comes and goes takes one line
    last.notes.push(said)
    const before = last.notes.length - 3
    last.line.textContent = (before > 0 ? `${before} more, ` : "") + last.notes.slice(-3).join(", ")
    return
  }
  last = {line: element("li", "note", said), notes: [said]}
  log.append(last.line)
}
const drawSaid = ({from, said, at}) => {
  const goesOn = last.from === from && at - last.at < 120_000
  const line = element("li", "said" + (from === name ? " own" : "") + (goesOn ? " goes-on" : ""),
    element("i", "", [...from][0].toUpperCase()), element("div", "", element("b", "", from), element("time", "", clock.format(at))),
    element("p", "", said))
  line.firstChild.setAttribute("aria-hidden", "true")
  line.style.setProperty("--hue", hue(from))
  last = {from, at}
  log.append(line)
}
const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48
const toEnd = () => { scroller.scrollTop = scroller.scrollHeight }
function draw() {
  const lines = waiting, follow = atEnd() || lines.some(line => line.from === name)
  waiting = []
  for (const line of lines) line.from ? drawSaid(line) : drawNote(line)
  while (log.children.length > kMostLines) log.firstChild.remove()
  byId("empty").hidden = log.querySelector(".said") !== null
  if (follow) return toEnd()
  unseen += lines.filter(line => line.from).length
  down.hidden = unseen === 0
  down.textContent = `↓ ${unseen} new`
}
const seen = () => {
  if (!atEnd()) return
  unseen = 0
  down.hidden = true
}
scroller.onscroll = seen
down.onclick = () => { toEnd(); text.focus() }
let height = 0
new ResizeObserver(() => {  // a keyboard that comes up must not hide the newest line
  if (scroller.clientHeight < height && scroller.scrollHeight - scroller.scrollTop - height < 48) toEnd()
  height = scroller.clientHeight
}).observe(scroller)

// ---- the connection
let socket, again, failures = 0
const say = (is, words) => {
  state.dataset.is = is
  if (state.textContent !== words) state.textContent = words
  send.disabled = is !== "open" || !text.value.trim()
}
function enter() {
  byId("room").textContent = "#" + room
  byId("you").textContent = name
  byId("you").title = "Another name or room"
  document.title = `#${room} · Chat`
  log.replaceChildren()
  waiting = []
  last = {}
  unseen = 0
  down.hidden = true
  byId("empty").hidden = false
  failures = 0
  connect()
}
function connect() {
  clearTimeout(again)
  if (socket) {
    socket.onmessage = socket.onclose = null  // what it still has to say is of before
    socket.close()
  }
  say("connecting", failures ? "Connecting again …" : "Connecting …")
  const url = new URL(`rooms/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`, location.href)
  url.protocol = url.protocol.replace("http", "ws")
  url.hash = ""
  socket = new WebSocket(url)
  socket.onopen = () => { failures = 0; say("open", "Connected") }
  socket.onmessage = event => {
    const heard = JSON.parse(event.data)
    show({from: heard.from, said: heard.text, at: Date.now()})
    say("open", `${heard.here} here`)
  }
  socket.onclose = event => {
    ++failures
    say("closed", event.reason || "Connection lost, trying again …")
    again = setTimeout(connect, Math.min(500 * 2 ** failures, 15_000) * (0.5 + Math.random() / 2))
  }
}
const hurry = () => { if (name && socket?.readyState === WebSocket.CLOSED) connect() }
addEventListener("online", hurry)
document.addEventListener("visibilitychange", () => document.hidden || hurry())

// ---- speaking
const fit = () => {
  text.style.height = "auto"
  text.style.height = text.scrollHeight + 2 + "px"
  const left = kLongest - text.value.length
  byId("left").textContent = left <= 100 ? `${left} left` : ""
  send.disabled = state.dataset.is !== "open" || !text.value.trim()
}
text.oninput = fit
text.onkeydown = event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
  event.preventDefault()
  form.requestSubmit()
}
form.onsubmit = event => {
  event.preventDefault()
  const said = text.value.trim()
  if (!said || socket?.readyState !== WebSocket.OPEN) return  // it stays, until there is somebody to hear it
  socket.send(JSON.stringify({text: said}))
  text.value = ""
  fit()
  text.focus()
}

byId("room").textContent = "#" + room
if (name) {
  enter()
  text.focus()
} else {
  ask()
}
)page";

}  // namespace chat
