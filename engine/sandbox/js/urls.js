// URL and URLSearchParams, for the URLs that flows build. What is really called is parsed again outside.

class URLSearchParams {
  #pairs;
  #changed;

  constructor(given = "", changed = () => {}) {
    this.#pairs = pairsOf(given);
    this.#changed = changed;
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
    this.#changed();
  }

  set(name, value) {
    const at = this.#pairs.findIndex(([key]) => key === String(name));
    this.#pairs = this.#pairs.filter(([key], index) => key !== String(name) || index === at);
    if (at < 0) this.#pairs.push([String(name), String(value)]);
    else this.#pairs[at] = [String(name), String(value)];
    this.#changed();
  }

  delete(name) {
    this.#pairs = this.#pairs.filter(([key]) => key !== String(name));
    this.#changed();
  }

  get(name) {
    return this.getAll(name)[0] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value);
  }

  has(name) {
    return this.getAll(name).length > 0;
  }

  sort() {
    this.#pairs.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
    this.#changed();
  }

  forEach(visit) {
    this.#pairs.forEach(([name, value]) => visit(value, name, this));
  }

  keys() {
    return this.#pairs.map(([name]) => name).values();
  }

  values() {
    return this.#pairs.map(([, value]) => value).values();
  }

  entries() {
    return this.#pairs.map((pair) => [...pair]).values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  get size() {
    return this.#pairs.length;
  }

  toString() {
    return this.#pairs.map((pair) => pair.map(formEncoded).join("=")).join("&");
  }
}

function pairsOf(given) {
  if (typeof given === "string") {
    const parts = given.replace(/^\?/, "").split("&").filter(Boolean);
    return parts.map((part) => {
      const at = part.indexOf("=");
      return (at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)]).map(formDecoded);
    });
  }
  const pairs = typeof given[Symbol.iterator] === "function" ? [...given] : Object.entries(given);
  return pairs.map(([name, value]) => [String(name), String(value)]);
}

const formEncoded = (text) =>
  encodeURIComponent(text.toWellFormed()).replace(/%20/g, "+").replace(/[!'()~]/g, (sign) => "%" + sign.charCodeAt(0).toString(16).toUpperCase());

function formDecoded(text) {
  const spaced = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

const ABSOLUTE = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?([^?#]*)(\?[^#]*)?(#.*)?$/i;
const DEFAULT_PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443" };

class URL {
  #search = "";
  #params;

  constructor(text, base) {
    const found = ABSOLUTE.exec(String(text).trim()) ?? ABSOLUTE.exec(joined(String(text).trim(), base));
    if (!found || !found[3]) throw new TypeError(`Invalid URL: ${text}`);
    const [, protocol, user = "", hostname, port = "", path, search = "", hash = ""] = found;
    this.protocol = protocol.toLowerCase();
    this.username = user.split(":")[0];
    this.password = user.includes(":") ? user.slice(user.indexOf(":") + 1) : "";
    this.hostname = hostname.toLowerCase();
    this.port = port === DEFAULT_PORTS[this.protocol] ? "" : port;
    this.pathname = withoutDots(quoted(path || "/"));
    this.search = quoted(search);
    this.hash = quoted(hash);
  }

  static canParse(text, base) {
    try {
      return Boolean(new URL(text, base));
    } catch {
      return false;
    }
  }

  get search() {
    return this.#search;
  }

  set search(text) {
    this.#search = text === "" || text === "?" ? "" : text.startsWith("?") ? text : `?${text}`;
    this.#params = new URLSearchParams(this.#search, () => {
      const query = this.#params.toString();
      this.#search = query ? `?${query}` : "";
    });
  }

  get searchParams() {
    return this.#params;
  }

  get host() {
    return this.port ? `${this.hostname}:${this.port}` : this.hostname;
  }

  get origin() {
    return `${this.protocol}//${this.host}`;
  }

  get href() {
    const user = this.username ? `${this.username}${this.password ? `:${this.password}` : ""}@` : "";
    return `${this.protocol}//${user}${this.host}${this.pathname}${this.search}${this.hash}`;
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }
}

function joined(text, base) {
  if (base === undefined) return "";
  const url = new URL(base);
  if (text.startsWith("//")) return url.protocol + text;
  if (text.startsWith("/")) return url.origin + text;
  if (text.startsWith("?")) return url.origin + url.pathname + text;
  if (text.startsWith("#")) return url.origin + url.pathname + url.search + text;
  return url.origin + url.pathname.replace(/[^/]*$/, "") + text;
}

function withoutDots(path) {
  const kept = [];
  const parts = path.split("/").slice(1);
  parts.forEach((part, index) => {
    const isLast = index === parts.length - 1;
    if (part === "..") kept.pop();
    if (part !== "." && part !== "..") kept.push(part);
    else if (isLast) kept.push("");
  });
  return `/${kept.join("/")}`;
}

const quoted = (text) => text.replace(/[^!-~]|["<>`]/gu, (sign) => encodeURIComponent(sign.toWellFormed()));
