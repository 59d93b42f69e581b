// The page to try it with.
#pragma once

#include <string_view>

namespace chat {

inline constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: color-mix(in srgb, currentColor 20%, transparent) }
  body { max-width: 42rem; height: 100dvh; margin: auto; display: grid; grid-template-rows: auto 1fr auto; padding: 1rem; box-sizing: border-box }
  header { display: flex; justify-content: space-between; border-bottom: 1px solid var(--line); padding-bottom: .5rem }
  ol { list-style: none; margin: 0; padding: 1rem 0; overflow-y: auto }
  li b { margin-right: .5em } li.note { opacity: .6; font-style: italic }
  form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .5rem }
  button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .5rem; background: #2563eb; color: white }
</style>
<header><strong>Chat</strong><span id="state" role="status">…</span></header>
<ol id="log" aria-live="polite"></ol>
<form id="form"><input id="text" maxlength="500" placeholder="Say something" aria-label="Message" autocomplete="off" autofocus>
<button>Send</button></form>
<script>
  const name = (prompt("Your name?") || "guest").slice(0, 20)
  const room = location.hash.slice(1) || "lobby"
  const byId = id => document.getElementById(id)
  const show = (from, text) => {
    const line = document.createElement("li")
    if (from) line.append(Object.assign(document.createElement("b"), {textContent: from}))
    else line.className = "note"
    line.append(text)
    byId("log").append(line)
    line.scrollIntoView()
  }
  let socket
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws"
    socket = new WebSocket(`${scheme}://${location.host}/rooms/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`)
    socket.onmessage = event => {
      const heard = JSON.parse(event.data)
      show(heard.from, heard.text)
      byId("state").textContent = `#${room}, ${heard.here} here`
    }
    socket.onclose = event => {
      byId("state").textContent = event.reason || "connection lost, trying again"
      setTimeout(connect, 1000 + Math.random() * 2000)
    }
  }
  byId("form").onsubmit = event => {
    event.preventDefault()
    const text = byId("text").value.trim()
    if (!text || socket.readyState !== WebSocket.OPEN) return
    socket.send(JSON.stringify({text}))
    byId("text").value = ""
  }
  connect()
</script>
</html>
)";

}  // namespace chat
