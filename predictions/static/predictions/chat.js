// The chat page: asks, shows tokens as they come, stops, and continues a running answer after a reload.
"use strict";

const page = document.querySelector("main.chat");
const flowId = page.dataset.flow;
const list = document.getElementById("messages");
const form = document.getElementById("ask");
const question = document.getElementById("question");
const sendButton = document.getElementById("send");
const stopButton = document.getElementById("stop");
const prompts = document.getElementById("prompts");
const storeKey = `forjinn:${flowId}`;

// What survives a reload: the conversation, and the run that was still answering.
let chat = load();

function load() {
  try {
    const saved = JSON.parse(localStorage.getItem(storeKey));
    if (saved && Array.isArray(saved.turns)) return saved;
  } catch {
    // A broken entry is no reason not to chat.
  }
  return { chatId: newId(), turns: [], running: null };
}

function newId() {
  // randomUUID exists only in secure contexts; this page may be served over plain HTTP.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function save() {
  try {
    localStorage.setItem(storeKey, JSON.stringify(chat));
  } catch {
    // Storage is full or forbidden: the chat works, it is only not kept.
  }
}

function bubble(turn) {
  const item = document.createElement("li");
  item.className = turn.role;
  item.textContent = turn.text;
  if (turn.note) {
    const note = document.createElement("span");
    note.className = "note";
    note.textContent = turn.note;
    item.append(note);
  }
  list.append(item);
  list.scrollTop = list.scrollHeight;
  return item;
}

function setBusy(busy) {
  sendButton.hidden = busy;
  stopButton.hidden = !busy;
  question.disabled = busy;
  if (!busy) question.focus();
}

async function* frames(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const frame = { id: null, body: null };
      for (const line of part.split("\n")) {
        if (line.startsWith("id: ")) frame.id = line.slice(4);
        if (line.startsWith("data:")) frame.body = JSON.parse(line.slice(5));
      }
      if (frame.body) yield frame;
    }
  }
}

function failure(text, requestId) {
  return { role: "error", text, note: requestId ? `Request ${requestId}` : "" };
}

// Show one stream until its end. Returns true when the answer is complete, false when the connection broke.
async function show(response, turn, item) {
  const requestId = response.headers.get("Request-Id");
  for await (const { id, body } of frames(response)) {
    if (id) chat.running.last = id;
    if (body.event === "token") {
      turn.text += body.data;
      item.firstChild ? (item.firstChild.data = turn.text) : item.append(turn.text);
      list.scrollTop = list.scrollHeight;
    } else if (body.event === "abort") {
      turn.note = "Stopped";
    } else if (body.event === "error") {
      const failed = failure(body.data, requestId);
      chat.turns.push(failed);
      bubble(failed);
    } else if (body.event === "end") {
      return true;
    }
    save();
  }
  return false;
}

async function answer(first) {
  let turn = chat.turns.at(-1);
  if (!turn || turn.role !== "api") {
    turn = { role: "api", text: "" };
    chat.turns.push(turn);
  }
  const item = list.lastElementChild?.className === "api" ? list.lastElementChild : bubble(turn);
  item.classList.add("busy");
  setBusy(true);
  let pause = 250;
  let ended = false;
  let response = null;
  for (let tries = 0; !ended && tries < 20; tries += 1) {
    try {
      response = first && tries === 0 ? await first() : await follow();
      const streams = response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream");
      if (streams) {
        const before = chat.running?.last ?? "";
        chat.running = { execution: response.headers.get("X-Execution-Id"), last: before };
        save();
        ended = await show(response, turn, item);
        if (chat.running.last !== before) tries = 0;
      } else {
        await plain(response, turn, item);
        ended = true;
      }
    } catch (error) {
      if (!chat.running) {
        const failed = failure(`The server cannot be reached: ${error.message}`, null);
        chat.turns.push(failed);
        bubble(failed);
        ended = true;
      }
    }
    if (!ended) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 4000);
    }
  }
  if (!turn.text && !turn.note) {
    chat.turns.splice(chat.turns.indexOf(turn), 1);
    item.remove();
  } else if (turn.note) {
    item.replaceWith(bubble(turn));
  }
  item.classList.remove("busy");
  chat.running = null;
  save();
  setBusy(false);
}

// Flows that do not stream, and refusals, answer with one JSON body.
async function plain(response, turn, item) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) {
    turn.text = body.text ?? JSON.stringify(body.json ?? body, null, 2);
    item.textContent = turn.text;
  } else {
    const failed = failure(body.message ?? `Error ${response.status}`, response.headers.get("Request-Id"));
    chat.turns.push(failed);
    bubble(failed);
  }
}

function follow() {
  return fetch(`/api/v1/executions/${chat.running.execution}/stream`, {
    headers: chat.running.last ? { "Last-Event-ID": chat.running.last } : {},
  });
}

function ask(text) {
  const turn = { role: "user", text };
  chat.turns.push(turn);
  bubble(turn);
  if (prompts) prompts.hidden = true;
  save();
  return answer(() =>
    fetch(`/api/v1/prediction/${flowId}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question: text, chatId: chat.chatId, streaming: true }),
    }),
  );
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || question.disabled) return;
  question.value = "";
  ask(text);
});

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

stopButton.addEventListener("click", () => {
  fetch(`/api/v1/chatmessage/abort/${flowId}/${encodeURIComponent(chat.chatId)}`, { method: "PUT" });
});

prompts?.addEventListener("click", (event) => {
  if (event.target.tagName === "BUTTON") ask(event.target.textContent);
});

document.getElementById("new-chat").addEventListener("click", () => {
  if (question.disabled) return;
  chat = { chatId: newId(), turns: [], running: null };
  save();
  list.replaceChildren();
  if (prompts) prompts.hidden = false;
  question.focus();
});

for (const turn of chat.turns) bubble(turn);
if (prompts) prompts.hidden = chat.turns.length > 0;
if (chat.running) answer(null);
