// Servers, Redis, pages and raw members for check.mjs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";

const [, , serverPath, redisPath, chromiumPath] = process.argv;
export const TIMEOUT = 60_000;
export const screenshots = new URL("screenshots/", import.meta.url).pathname;
mkdirSync(screenshots, { recursive: true });

const scratch = mkdtempSync(join(tmpdir(), "chat-"));
process.setMaxListeners(50);
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

let passed = 0, failed = 0;
const running = [];         // for the log of a failure

export async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    const logs = running.flatMap((server) => server.log.slice(-12).map((line) => `${server.name}: ${line}`));
    console.log(`FAIL  ${name}\n      ${[error.stack, ...logs].join("\n").replaceAll("\n", "\n      ")}`);
  }
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

export async function until(what, condition, timeout = TIMEOUT) {
  for (const end = Date.now() + timeout; Date.now() < end; await new Promise((r) => setTimeout(r, 20)))
    if (await condition()) return;
  assert.fail(`not in time: ${what}`);
}

// A process lasts as long as this one, however that ends.
function run(name, path, options) {
  const child = spawn(path, options, { stdio: ["ignore", "pipe", "pipe"] });
  process.on("exit", () => child.kill("SIGKILL"));
  child.on("error", (error) => { console.error(error.message); process.exit(1); });
  const log = [], exited = once(child, "exit");
  createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
  const lines = createInterface({ input: child.stdout });
  const end = async (signal) => { child.kill(signal); return exited; };
  return { name, child, log, lines, exited, end };
}

// A chat server; `address` to start again where one was before.
export async function startServer(options, address = "127.0.0.1:0") {
  const server = run(`server ${running.length + 1}`, serverPath, [...options, address]);
  running.push(server);
  const [banner] = await once(server.lines, "line", { signal: AbortSignal.timeout(TIMEOUT) });
  server.url = /http:\/\/\S+/.exec(banner)[0];
  server.address = new URL(server.url).host;
  return server;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

// A Redis that keeps nothing; `port` to start again where one was before.
export async function startRedis(port) {
  for (let attempt = 1; ; attempt += 1) {
    const mine = port ?? await freePort();
    const redis = run("redis", redisPath, ["--port", `${mine}`, "--bind", "127.0.0.1", "--save", "",
      "--appendonly", "no", "--dir", scratch]);
    let ready = false;
    redis.lines.on("line", (line) => { ready ||= /ready to accept connections/i.test(line); });
    await until("redis starts or ends", () => ready || redis.child.exitCode !== null);
    if (ready) return { ...redis, port: mine, url: `redis://127.0.0.1:${mine}/` };
    assert(attempt < 5, "redis does not start");
  }
}

// A member without a browser, who keeps all that comes.
export class Member {
  constructor(server, room, who, options = {}) {
    const url = `${server.url.replace("http", "ws")}room/${encodeURIComponent(room)}?${who}`;
    Object.assign(this, { heard: [], files: [], close: null, status: null });
    this.ws = new WebSocket(url, { handshakeTimeout: TIMEOUT, perMessageDeflate: false, ...options });
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

  async hears(type, fields) {
    await until(`${type} ${JSON.stringify(fields ?? {})} among ${JSON.stringify(this.heard.slice(-8))} ${JSON.stringify(this.close)}`,
      () => this.find(type, fields));
    return this.find(type, fields);
  }

  async closes() {
    await until("the close", () => this.close);
    return this.close;
  }

  async refused() {
    await until("an HTTP answer", () => this.status ?? this.close);
    return this.status;
  }
}

let browser;
export async function launch() {
  browser = await chromium.launch({
    executablePath: chromiumPath,
    timeout: 60_000,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return browser;
}

// A page that keeps what its sockets saw, beside what the page itself makes of it.
export async function openPage(server, { width = 1000, height = 720, dark = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", locale: "en-GB",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(error.message));
  await page.addInitScript(() => {
    const seen = (window.seen = { texts: [], files: [], closes: [] });
    window.WebSocket = class extends WebSocket {
      constructor(...rest) {
        super(...rest);
        this.addEventListener("message", async ({ data }) => {
          if (typeof data === "string") seen.texts.push(data);
          else seen.files.push(Array.from(new Uint8Array(await data.arrayBuffer())));
        });
        this.addEventListener("close", ({ code, reason, wasClean }) => seen.closes.push({ code, reason, wasClean }));
      }
    };
  });
  await page.goto(server.url);
  return page;
}

export async function enter(page, room, who) {
  await page.fill("#room", room);
  await page.fill("#who", who);
  await page.click("#join button");
  await state(page, "open");
}

export const state = (page, name) =>
  page.waitForFunction((name) => document.querySelector("#status").dataset.state === name, name);

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
