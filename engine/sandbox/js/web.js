// fetch as browsers and node-fetch have it. Requests are made outside, by the server's one client and under its rules.

class Headers {
  #values = new Map();

  constructor(given = {}) {
    const pairs = typeof given[Symbol.iterator] === "function" ? [...given] : Object.entries(given);
    for (const [name, value] of pairs) if (value !== undefined && value !== null) this.append(name, value);
  }

  append(name, value) {
    const key = String(name).toLowerCase();
    const held = this.#values.get(key);
    this.#values.set(key, held === undefined ? String(value) : `${held}, ${value}`);
  }

  set(name, value) {
    this.#values.set(String(name).toLowerCase(), String(value));
  }

  get(name) {
    return this.#values.get(String(name).toLowerCase()) ?? null;
  }

  has(name) {
    return this.#values.has(String(name).toLowerCase());
  }

  delete(name) {
    this.#values.delete(String(name).toLowerCase());
  }

  forEach(visit) {
    this.#values.forEach((value, name) => visit(value, name, this));
  }

  keys() {
    return this.#values.keys();
  }

  values() {
    return this.#values.values();
  }

  entries() {
    return this.#values.entries();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

class Response {
  #text;
  #bytes;

  constructor({ status, statusText, headers, text, base64 }, url) {
    this.status = status;
    this.statusText = statusText;
    this.ok = status >= 200 && status < 300;
    this.headers = new Headers(headers);
    this.url = url;
    this.bodyUsed = false;
    this.#text = text;
    this.#bytes = base64 === undefined ? undefined : fromBase64(base64);
  }

  async text() {
    this.bodyUsed = true;
    return this.#text ?? new TextDecoder().decode(this.#bytes);
  }

  async json() {
    return JSON.parse(await this.text());
  }

  async buffer() {
    this.bodyUsed = true;
    return new Buffer(this.#bytes ?? new TextEncoder().encode(this.#text));
  }

  async arrayBuffer() {
    return (await this.buffer()).buffer;
  }
}

class AbortSignal {
  aborted = false;
  reason = undefined;
  onabort = null;
  #listeners = [];

  addEventListener(kind, listener) {
    if (kind === "abort") this.#listeners.push(listener);
  }

  removeEventListener(kind, listener) {
    this.#listeners = this.#listeners.filter((held) => held !== listener);
  }

  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }

  static timeout(delay) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException("The operation timed out", "TimeoutError")), delay);
    return controller.signal;
  }

  static _abort(signal, reason) {
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason;
    for (const listener of [signal.onabort, ...signal.#listeners]) listener?.({ type: "abort", target: signal });
  }
}

class AbortController {
  signal = new AbortSignal();

  abort(reason = new DOMException("This operation was aborted", "AbortError")) {
    AbortSignal._abort(this.signal, reason);
  }
}

async function fetch(target, options = {}) {
  const url = String(target?.href ?? target?.url ?? target);
  const signal = options.signal;
  signal?.throwIfAborted();
  const headers = new Headers(options.headers ?? {});
  const answered = callHost("fetch", {
    url,
    method: String(options.method ?? "GET").toUpperCase(),
    headers: [...headers],
    follow: options.redirect !== "manual",
    ...bodyOf(options.body, headers),
  }).catch((error) => {
    throw new TypeError(`fetch failed: ${error.message}`);
  });
  if (!signal) return new Response(await answered, url);
  const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  return new Response(await Promise.race([answered, aborted]), url);
}

function bodyOf(body, headers) {
  if (body === undefined || body === null) return {};
  if (body instanceof URLSearchParams) return typed(headers, "application/x-www-form-urlencoded", String(body));
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { base64: toBase64(asBytes(body)) };
  return typed(headers, "text/plain;charset=UTF-8", String(body));
}

function typed(headers, type, text) {
  return headers.has("content-type") ? { text } : { text, type };
}
