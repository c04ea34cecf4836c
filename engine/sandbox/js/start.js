// The ends of the pipe: starts a function, settles what the host was asked, and reports how the function ended.

const AsyncFunction = (async () => {}).constructor;
const { parse, stringify } = JSON;
const MOST_LINES = 200;
const LONGEST_LINE = 2000;
const WRAPPED_BY = 2; // lines that the engine puts before a function's body

const waiting = new Map();
const lines = [];
let asked = 0;

function callHost(name, values) {
  return new Promise((resolve, reject) => {
    asked += 1;
    waiting.set(asked, { resolve, reject });
    sendToHost("call", stringify({ id: asked, name, ...values }));
  });
}

function settle(text) {
  const { id, error, value } = parse(text);
  const held = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) held?.resolve(value);
  else held?.reject(new Error(error));
}

const timers = new Map();

function setTimeout(action, delay = 0, ...values) {
  const id = asked + 1;
  timers.set(id, action);
  callHost("sleep", { ms: Number(delay) || 0 }).then(() => {
    if (timers.delete(id)) action(...values);
  });
  return id;
}

function setInterval(action, delay = 0, ...values) {
  const id = asked + 1;
  timers.set(id, action);
  const again = () =>
    callHost("sleep", { ms: Math.max(1, Number(delay) || 0) }).then(() => {
      if (!timers.has(id)) return;
      action(...values);
      again();
    });
  again();
  return id;
}

const clearTimer = (id) => void timers.delete(id);

function log(level) {
  return (...values) => {
    if (lines.length === MOST_LINES) lines.push("… and more that is not shown");
    if (lines.length > MOST_LINES) return;
    const text = values.map(shown).join(" ");
    lines.push((level ? `${level}: ${text}` : text).slice(0, LONGEST_LINE));
  };
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

const console = { log: log(""), info: log(""), debug: log(""), trace: log(""), warn: log("warning"), error: log("error") };

const MODULES = {
  axios,
  buffer: { Buffer },
  "node-fetch": Object.assign((...given) => fetch(...given), { default: fetch, Headers, Response }),
  url: { URL, URLSearchParams },
};

function require(name) {
  const known = String(name).replace(/^node:/, "");
  if (Object.hasOwn(MODULES, known)) return MODULES[known];
  throw new Error(
    `require(${stringify(String(name))}) is not available: functions run in a sandbox that has ${Object.keys(MODULES).join(", ")}`,
  );
}

Object.assign(globalThis, { AbortController, AbortSignal, Buffer, Headers, Response, TextDecoder, TextEncoder, URL, URLSearchParams });
Object.assign(globalThis, { axios, console, fetch, require, setInterval, setTimeout });
globalThis.clearInterval = globalThis.clearTimeout = clearTimer;
globalThis.setImmediate = (action, ...values) => setTimeout(action, 0, ...values);
globalThis.structuredClone = (value) => parse(stringify(value));

function start(text) {
  const { code, variables } = parse(text);
  Object.assign(globalThis, variables);
  run(code).then(
    (value) => sendToHost("done", value),
    (error) => sendToHost("done", failure("thrown", error)),
  );
}

async function run(code) {
  let body;
  try {
    body = new AsyncFunction(code);
  } catch (error) {
    return failure("syntax", error);
  }
  const value = await body();
  return `{"value":${stringify(value) ?? "null"},"console":${stringify(lines)}}`;
}

function failure(kind, error) {
  let message;
  if (error instanceof InternalError && error.message === "out of memory") kind = "memory";
  try {
    // Where not even an error fits into memory any more, null is thrown.
    message = error === null ? "null (as it does without memory)" : error instanceof Error ? `${error.name}: ${error.message}` : shown(error);
  } catch {
    message = "something that cannot be shown";
  }
  const line = Number(/<(?:input|anonymous|evalScript)>:(\d+)/.exec(String(error?.stack ?? ""))?.[1] ?? 0) - WRAPPED_BY;
  return stringify({ kind, message: message.slice(0, LONGEST_LINE), line: Math.max(0, line), console: lines });
}

return { start, settle };
