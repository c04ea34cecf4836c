// The chat page: asks, shows tokens as they come, stops, and continues a running answer after a reload.
"use strict";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 4000;
const BRIEF = { Prefer: "return=minimal" }; // the trace is not shown here
const MAX_TRIES = 20; // in a row that brought nothing new
const NEAR_PX = 80; // who has scrolled up further than this is reading, and is left alone

const flowId = document.querySelector("main.chat").dataset.flow;
const list = document.getElementById("messages");
const form = document.getElementById("ask");
const question = document.getElementById("question");
const sendButton = document.getElementById("send");
const stopButton = document.getElementById("stop");
const newButton = document.getElementById("new-chat");
const prompts = document.getElementById("prompts");
const storeKey = `forjinn:${flowId}`;

const SPEAKERS = { user: "You: ", api: "Answer: ", error: "Error: " };
const items = new Map(); // turn -> its element

// What survives a reload: the conversation, and the run that was still answering with the last frame seen of it.
let chat = load();
let isBusy = false;
let isLeaving = false;

function load() {
  try {
    const saved = JSON.parse(localStorage.getItem(storeKey));
    if (saved && Array.isArray(saved.turns)) return saved;
  } catch {
    // A broken entry is no reason not to chat.
  }
  return newChat();
}

function newChat() {
  // randomUUID exists only in secure contexts; this page may be served over plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { chatId: Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(""), turns: [], running: null };
}

function save() {
  try {
    localStorage.setItem(storeKey, JSON.stringify(chat));
  } catch {
    // Storage is full or forbidden: the chat works, it is only not kept.
  }
}

function add(turn) {
  chat.turns.push(turn);
  draw(turn);
  return turn;
}

function addError(text, requestId) {
  add({ role: "error", text, note: requestId ? `Request ${requestId}` : "" });
}

// Bring a turn's element up to date; make it if there is none yet.
function draw(turn) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
  const item = items.get(turn) ?? makeItem(turn);
  const [, text, note] = item.children;
  text.textContent = turn.text;
  note.textContent = turn.note ?? "";
  if (follows || turn.role === "user") list.scrollTop = list.scrollHeight;
  return item;
}

function makeItem(turn) {
  const item = document.createElement("li");
  item.className = turn.role;
  for (const [name, words] of [["hidden", SPEAKERS[turn.role]], ["text", ""], ["note", ""]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = words;
    item.append(part);
  }
  items.set(turn, item);
  list.append(item);
  return item;
}

function remove(turn) {
  chat.turns.splice(chat.turns.indexOf(turn), 1);
  items.get(turn).remove();
  items.delete(turn);
}

function setBusy(busy) {
  isBusy = busy;
  sendButton.hidden = newButton.disabled = busy;
  stopButton.hidden = !busy;
  stopButton.disabled = false;
  // Readers of the screen are told the answer once it is whole, not letter by letter.
  list.setAttribute("aria-busy", String(busy));
  // The button that had the focus may be the one that was just hidden.
  if (document.activeElement === document.body) question.focus();
}

// The frames of a stream, all that came in one read together.
async function* frames(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    yield parts.map(parseFrame).filter((frame) => frame.body);
  }
}

function parseFrame(part) {
  const frame = { id: null, body: null };
  for (const line of part.split("\n")) {
    if (line.startsWith("id: ")) frame.id = line.slice(4);
    if (line.startsWith("data:")) frame.body = JSON.parse(line.slice(5));
  }
  return frame;
}

// Show a stream until its end. Returns whether the end came; without it, the connection broke.
async function show(response, turn) {
  let ended = false;
  for await (const batch of frames(response)) {
    for (const { id, body } of batch) {
      if (id) chat.running.last = id;
      if (body.event === "token") turn.text += body.data;
      // The run goes on elsewhere and says it in other words. The length counts characters, not UTF-16 units.
      else if (body.event === "retract") turn.text = [...turn.text].slice(0, -body.data.length).join("");
      else if (body.event === "abort" || (body.event === "error" && stopButton.disabled)) turn.note = "Stopped";
      else if (body.event === "action") turn.action = body.data;
      else if (body.event === "error") addError(body.data, response.headers.get("Request-Id"));
      else if (body.event === "end") ended = true;
    }
    draw(turn);
    // Text and position together: a reload continues exactly after what it shows.
    save();
  }
  return ended;
}

// Flows that do not stream, and refusals, answer in one piece.
async function showWhole(response, turn) {
  const text = await response.text();
  const body = parseObject(text);
  if (response.ok) {
    turn.text = body.text ?? JSON.stringify(body.json ?? body, null, 2);
    turn.note = (body.warnings ?? []).join("\n");
    turn.action = body.action;
  } else {
    addError(body.message ?? (text || `Error ${response.status}`), response.headers.get("Request-Id"));
  }
}

function parseObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function isStream(response) {
  return response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream");
}

// One request of the answer. Returns whether the answer is over.
async function attempt(request, turn) {
  const response = await request();
  if (isStream(response)) {
    chat.running ??= { execution: response.headers.get("X-Execution-Id"), last: "" };
    save();
    return show(response, turn);
  }
  // A run that is known to exist is worth waiting for.
  if (chat.running && response.status >= 500) return false;
  await showWhole(response, turn);
  return true;
}

function follow() {
  const { execution, last } = chat.running;
  return fetch(`/api/v1/executions/${execution}/stream`, { headers: last ? { ...BRIEF, "Last-Event-ID": last } : BRIEF });
}

// Ask, and follow the answer through as many connections as it takes. Returns whether the answer is over.
async function converse(request, turn) {
  let pause = FIRST_PAUSE_MS;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const before = chat.running?.last;
    try {
      if (await attempt(chat.running ? follow : request, turn)) return true;
    } catch (error) {
      if (!chat.running) {
        addError(`The server cannot be reached: ${error.message}`);
        return true;
      }
    }
    if (chat.running?.last !== before) {
      tries = 0;
      pause = FIRST_PAUSE_MS;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, MAX_PAUSE_MS);
  }
  addError("The connection is lost. Reload the page to continue.");
  return false;
}

async function answer(request) {
  const last = chat.turns.at(-1);
  const turn = last?.role === "api" ? last : add({ role: "api", text: "" });
  const item = draw(turn);
  item.classList.add("busy");
  setBusy(true);
  const isOver = await converse(request, turn);
  // A page that is being left sees its requests fail; what it shows then is nobody's, and the next page goes on.
  if (isLeaving) return;
  item.classList.remove("busy");
  if (turn.text || turn.note) draw(turn);
  else remove(turn);
  if (isOver) chat.running = null;
  save();
  setBusy(false);
  offer(turn);
}

// Ask a question, or with `answered` let the run that waits for it go on.
function ask(text, answered = {}) {
  chat.running = null;
  // What waited for an answer until now waits no more, or for one that nobody can give any longer.
  for (const turn of chat.turns) withdraw(turn);
  add({ role: "user", text });
  if (prompts) prompts.hidden = true;
  save();
  answer(() =>
    fetch(`/api/v1/prediction/${flowId}`, {
      method: "POST",
      headers: { ...BRIEF, "Content-Type": "application/json" },
      body: JSON.stringify({ question: text, chatId: chat.chatId, streaming: true, ...answered }),
    }),
  );
}

// Under an answer that waits for a person: a button for each thing that they may say, and room for their reasons.
function offer(turn) {
  const { action } = turn;
  if (!action || !items.has(turn)) return;
  const group = document.createElement("form");
  group.className = "action";
  group.ariaLabel = "Your decision";
  const feedback = action.data?.input?.humanInputEnableFeedback ? addFeedback(group) : null;
  for (const type of ["proceed", "reject"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = labelOf(action, type);
    button.addEventListener("click", () => decide(turn, type, feedback?.value.trim() ?? ""));
    group.append(button);
  }
  // Enter in the field must not choose for anybody.
  group.addEventListener("submit", (event) => event.preventDefault());
  items.get(turn).append(group);
  list.scrollTop = list.scrollHeight;
}

function labelOf(action, type) {
  return type === "proceed" ? (action.mapping?.approve ?? "Proceed") : (action.mapping?.reject ?? "Reject");
}

function addFeedback(group) {
  const label = document.createElement("label");
  const field = document.createElement("input");
  label.textContent = "Feedback";
  label.append(field);
  group.append(label);
  return field;
}

function withdraw(turn) {
  delete turn.action;
  items.get(turn)?.querySelector(".action")?.remove();
}

function decide(turn, type, feedback) {
  if (isBusy) return;
  const { action } = turn;
  const label = labelOf(action, type);
  // Agents of the first generation know an answer by its label, and by the action that it belongs to.
  const isLabelled = action.elements?.some((element) => element.type === "approve-button");
  const humanInput = { type, startNodeId: action.data?.nodeId, feedback };
  ask(feedback || label, isLabelled ? { action } : { humanInput });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || isBusy) return;
  question.value = "";
  ask(text);
});

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

stopButton.addEventListener("click", async () => {
  stopButton.disabled = true;
  const stop = { method: "PUT" };
  const response = await fetch(`/api/v1/chatmessage/abort/${flowId}/${encodeURIComponent(chat.chatId)}`, stop).catch(
    () => null,
  );
  if (!response?.ok) stopButton.disabled = false;
});

prompts?.addEventListener("click", (event) => {
  if (event.target.tagName === "BUTTON" && !isBusy) ask(event.target.textContent);
});

newButton.addEventListener("click", () => {
  chat = newChat();
  save();
  items.clear();
  list.replaceChildren();
  if (prompts) prompts.hidden = false;
  question.focus();
});

window.addEventListener("pagehide", () => {
  isLeaving = true;
});

// A page that the browser had put aside has lost its stream.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

for (const turn of chat.turns) {
  draw(turn);
  offer(turn);
}
if (prompts) prompts.hidden = chat.turns.length > 0;
if (chat.running) answer(follow);
