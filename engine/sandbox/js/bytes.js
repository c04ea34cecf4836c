// Bytes and text: what code written for Node.js or a browser expects, UTF-8 and base64 only.

class TextEncoder {
  encode(text = "") {
    const escaped = unescape(encodeURIComponent(String(text).toWellFormed()));
    return Uint8Array.from(escaped, (character) => character.charCodeAt(0));
  }
}

class TextDecoder {
  decode(bytes = new Uint8Array()) {
    const view = asBytes(bytes);
    try {
      return decodeURIComponent(escape(binaryOf(view)));
    } catch {
      return lenientText(view);
    }
  }
}

function asBytes(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return new TextEncoder().encode(value);
}

function binaryOf(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return text;
}

// What is no UTF-8 becomes U+FFFD, one sign for each byte that cannot be read.
function lenientText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const size = bytes[at] < 0x80 ? 1 : bytes[at] < 0xe0 ? 2 : bytes[at] < 0xf0 ? 3 : 4;
    try {
      text += decodeURIComponent(escape(binaryOf(bytes.subarray(at, at + size))));
      at += size;
    } catch {
      text += "\ufffd";
      at += 1;
    }
  }
  return text;
}

const toBase64 = (bytes) => btoa(binaryOf(bytes));
const fromBase64 = (text) => {
  const plain = text.replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "");
  return Uint8Array.from(atob(plain + "=".repeat((4 - (plain.length % 4)) % 4)), (character) => character.charCodeAt(0));
};

class Buffer extends Uint8Array {
  static from(value, encoding = "utf8") {
    if (typeof value !== "string") return new Buffer(typeof value[Symbol.iterator] === "function" ? value : asBytes(value));
    if (encoding === "base64" || encoding === "base64url") return new Buffer(fromBase64(value));
    if (encoding === "hex") return new Buffer((value.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
    if (encoding === "latin1" || encoding === "binary") return new Buffer([...value].map((c) => c.charCodeAt(0)));
    return new Buffer(new TextEncoder().encode(value));
  }

  static isBuffer(value) {
    return value instanceof Buffer;
  }

  static byteLength(value) {
    return Buffer.from(value).length;
  }

  static concat(parts) {
    return new Buffer(parts.flatMap((part) => [...part]));
  }

  static alloc(size) {
    return new Buffer(size);
  }

  toString(encoding = "utf8") {
    if (encoding === "base64") return toBase64(this);
    if (encoding === "base64url") return toBase64(this).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
    if (encoding === "hex") return [...this].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (encoding === "latin1" || encoding === "binary") return binaryOf(this);
    return new TextDecoder().decode(this);
  }

  toJSON() {
    return { type: "Buffer", data: [...this] };
  }
}
