// axios, as far as flows use it: requests, instances, and errors that carry their response.

class AxiosError extends Error {
  constructor(message, code, config, response) {
    super(message);
    this.name = "AxiosError";
    this.isAxiosError = true;
    this.code = code;
    this.config = config;
    this.response = response;
    this.status = response?.status;
  }
}

function makeAxios(defaults = {}) {
  const request = async (first, second) => {
    const config = typeof first === "string" ? { ...second, url: first } : { ...first };
    return send({ ...defaults, ...config, headers: { ...plain(defaults.headers), ...plain(config.headers) } });
  };
  const axios = (first, second) => request(first, second);
  axios.request = request;
  for (const method of ["get", "delete", "head", "options"]) {
    axios[method] = (url, config) => request({ ...config, url, method });
  }
  for (const method of ["post", "put", "patch"]) {
    axios[method] = (url, data, config) => request({ ...config, url, method, data });
  }
  axios.create = (config) => makeAxios({ ...defaults, ...config });
  axios.defaults = defaults;
  axios.isAxiosError = (error) => error?.isAxiosError === true;
  axios.AxiosError = AxiosError;
  axios.default = axios;
  return axios;
}

const plain = (headers) => Object.fromEntries(new Headers(headers ?? {}));

async function send(config) {
  const headers = new Headers({ accept: "application/json, text/plain, */*", ...config.headers });
  if (config.auth) headers.set("authorization", `Basic ${btoa(`${config.auth.username}:${config.auth.password}`)}`);
  const signal = config.signal ?? (config.timeout ? AbortSignal.timeout(config.timeout) : undefined);
  let answer;
  try {
    const body = dataOf(config.data, headers);
    answer = await fetch(addressOf(config), { method: config.method, headers, body, signal });
  } catch (error) {
    const isLate = error?.name === "TimeoutError";
    const message = isLate ? `timeout of ${config.timeout}ms exceeded` : error.message;
    throw new AxiosError(message, isLate ? "ECONNABORTED" : "ERR_NETWORK", config);
  }
  const response = {
    data: await readAs(answer, config.responseType),
    status: answer.status,
    statusText: answer.statusText,
    headers: Object.fromEntries(answer.headers),
    config,
  };
  const isValid = config.validateStatus ?? ((status) => status >= 200 && status < 300);
  if (isValid(answer.status)) return response;
  const code = answer.status < 500 ? "ERR_BAD_REQUEST" : "ERR_BAD_RESPONSE";
  throw new AxiosError(`Request failed with status code ${answer.status}`, code, config, response);
}

function addressOf({ url = "", baseURL, params }) {
  const isWhole = /^[a-z][a-z0-9+.-]*:\/\//i.test(url);
  const whole = baseURL && !isWhole ? `${baseURL.replace(/\/+$/, "")}/${url.replace(/^\/+/, "")}` : url;
  const query = String(params instanceof URLSearchParams ? params : new URLSearchParams(pairsOfParams(params ?? {})));
  return query ? `${whole}${whole.includes("?") ? "&" : "?"}${query}` : whole;
}

function pairsOfParams(params) {
  return Object.entries(params).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item) => [`${name}[]`, item]);
    return [[name, typeof value === "object" ? JSON.stringify(value) : value]];
  });
}

function dataOf(data, headers) {
  const isPlain = typeof data === "object" && data !== null && !(data instanceof URLSearchParams) && !ArrayBuffer.isView(data);
  if (!isPlain || data instanceof ArrayBuffer) return data;
  if (headers.get("content-type")?.includes("x-www-form-urlencoded")) return new URLSearchParams(data);
  if (!headers.has("content-type")) headers.set("content-type", "application/json");
  return JSON.stringify(data);
}

async function readAs(answer, kind) {
  if (kind === "arraybuffer") return answer.buffer();
  const text = await answer.text();
  if (kind === "text") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const axios = makeAxios();
