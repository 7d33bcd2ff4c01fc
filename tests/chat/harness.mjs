// Servers, Redis, pages and raw members for check.mjs.
import assert from "node:assert/strict";
import { launch, openPage as open, state } from "../node/chromium.mjs";
import { Process, freePort, patience, scratch, serve, until } from "../node/harness.mjs";
import { WebSocket } from "../node/ws.mjs";

const [, , serverPath, redisPath, chromiumPath] = process.argv;
export const screenshots = new URL("screenshots/", import.meta.url).pathname;
const folder = scratch();
// Who lost a connection waits before trying again, and longer each time.
patience(60_000);

// A chat server; `address` to start again where one was before.
export async function startServer(options, address) {
  const server = await serve(serverPath, options, address);
  server.address = new URL(server.url).host;
  return server;
}

// A Redis that keeps nothing; `port` to start again where one was before.
export async function startRedis(port) {
  for (let attempt = 1; ; attempt += 1) {
    const mine = port ?? await freePort();
    const redis = new Process(redisPath, ["--port", `${mine}`, "--bind", "127.0.0.1", "--save", "",
      "--appendonly", "no", "--dir", folder]);
    const ready = () => redis.lines.some((line) => /ready to accept connections/i.test(line));
    await until("redis starts or ends", () => ready() || redis.child.exitCode !== null);
    if (ready()) return Object.assign(redis, { port: mine, url: `redis://127.0.0.1:${mine}/` });
    assert(attempt < 5, "redis does not start");
  }
}

// A member without a browser, who keeps all that comes.
export class Member {
  constructor(server, room, who, options = {}) {
    const url = `${server.url.replace("http", "ws")}room/${encodeURIComponent(room)}?${who}`;
    Object.assign(this, { heard: [], files: [], close: null, status: null });
    this.ws = new WebSocket(url, { perMessageDeflate: false, ...options });
    this.ws.on("message", (data, isBinary) => {
      if (isBinary) this.files.push(data);
      else this.heard.push(JSON.parse(data));
    });
    this.ws.on("close", (code, reason) => { this.close = { code, reason: `${reason}` }; });
    this.ws.on("unexpected-response", (request, response) => {
      this.status = response.statusCode;
      request.destroy();
    });
    this.ws.on("error", () => {});
  }

  static async join(...rest) {
    const member = new Member(...rest);
    await member.hears("welcome");
    return member;
  }

  send(message) { this.ws.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message)); }

  find(type, fields = {}) {
    return this.heard.find((message) => message.type === type
      && Object.entries(fields).every(([key, value]) => message[key] === value));
  }

  hears(type, fields = {}) {
    return until(() => `${type} ${JSON.stringify(fields)} among ${JSON.stringify(this.heard.slice(-8))} ${JSON.stringify(this.close)}`,
      () => this.find(type, fields));
  }

  closes() {
    return until("the close", () => this.close);
  }

  async refused() {
    await until("an HTTP answer", () => this.status ?? this.close);
    return this.status;
  }
}

export const browser = await launch(chromiumPath);
export const openPage = (server, options) => open(browser, server.url, options);

export async function enter(page, room, who) {
  await page.fill("#room", room);
  await page.fill("#who", who);
  await page.click("#join button");
  await state(page, "open");
}

export async function say(page, text, to = "") {
  await page.selectOption("#to", to);
  await page.fill("#text", text);
  await page.click("#send");
}

export const shows = (page, text) => page.locator("#log > *", { hasText: text }).first().waitFor();

export const texts = (page) => page.evaluate(() => seen.texts.map((text) => JSON.parse(text)));

const members = (page) => page.locator("#members button").allInnerTexts();

export const sees = (page, ...names) => until(`members ${names}`, async () =>
  `${(await members(page)).map((name) => name.replace(" (you)", "")).sort()}` === `${names.sort()}`);
