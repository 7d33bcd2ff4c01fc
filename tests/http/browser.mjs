// Chromium against both examples. Usage: node browser.mjs <hyper_upgrade> <h2_server> <chromium>; see run.sh.
import assert from "node:assert/strict";
import { launch, openPage } from "../node/chromium.mjs";
import { check, finish, serve, until } from "../node/harness.mjs";

const [, , hyperPath, h2Path, chromiumPath] = process.argv;
const [hyper, h2] = [await serve(hyperPath), await serve(h2Path)];
const browser = await launch(chromiumPath, "--ignore-certificate-errors");

/** A page that can converse. */
async function open(url) {
  const page = await openPage(browser, url, { ignoreHTTPSErrors: true });
  await page.evaluate(() => {
    window.connect = async (path, protocols = []) => {
      const socket = new WebSocket(location.origin.replace("http", "ws") + path, protocols);
      socket.binaryType = "arraybuffer";
      await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error("not opened")); });
      return socket;
    };
    window.echo = async (socket, message) => {
      const came = new Promise((resolve, reject) => {
        socket.onmessage = ({ data }) => resolve(data);
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      });
      socket.send(message);
      const data = await came;
      if (typeof message === "string") return data === message;
      const got = new Uint8Array(data);
      return got.length === message.length && message.every((byte, i) => byte === got[i]);
    };
    window.random = (size) => {
      const data = new Uint8Array(size);
      for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
      return data;
    };
    window.leave = async (socket, code, reason) => {
      const closed = new Promise((resolve) => { socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]); });
      socket.close(code, reason);
      return closed;
    };
  });
  return page;
}

/** Text, compressed where it pays, and binary, there and back; then a clean close. */
async function converse(page, path, reason) {
  const seen = await page.evaluate(async ([path, reason]) => {
    const socket = await connect(path);
    const equal = [];
    for (const message of ["", "hello", "发送数据 🦀", "well, ".repeat(20_000), random(16), random(262_145)])
      equal.push(await echo(socket, message));
    return [socket.extensions, equal.every(Boolean), ...await leave(socket, 3001, reason)];
  }, [path, reason]);
  assert.deepEqual(seen, ["permessage-deflate; server_no_context_takeover; client_no_context_takeover", true, 3001, true]);
}

const page = await open(hyper.url);
await check("Chromium -> hyper_upgrade: the page opens a WebSocket and sends a message", async () => {
  await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("open, subprotocol echo.v2"));
  await page.fill("input", "hello");
  await page.click("button");
  await page.waitForFunction(() => document.querySelector("#log").textContent === "→ hello\n← hello\n");
});
await check("Chromium -> hyper_upgrade: text, binary, compressed, closed with 3001", async () => {
  await converse(page, "/echo", "bye");
  await hyper.line(/"\/echo" closed: 3001 "bye"/);
});
await check("Chromium -> hyper_upgrade: nothing went wrong in the page", () => {
  assert.deepEqual([page.errors, page.complaints], [[], []]);
});

const tab = await open(h2.url);
await check("Chromium -> h2_server: the page opens two WebSockets", async () => {
  assert.equal(await tab.textContent("#protocol"), "h2");
  for (const number of [1, 2])
    await tab.waitForFunction((n) => document.querySelector("#log").textContent.includes(`${n} ← hello from number ${n}\n`), number);
});
await check("Chromium -> h2_server: they are streams of the TCP connection that the page came by", async () => {
  const [, peer] = await h2.line(/^(\S+) stream \d+ "\/" 200$/);
  const opened = h2.err.filter((line) => /stream \d+ "\/echo" open, by extended CONNECT$/.test(line));
  assert.equal(opened.length, 2, h2.err.join("\n"));
  assert(opened.every((line) => line.startsWith(`${peer} stream `)), h2.err.join("\n"));
});
await check("Chromium -> h2_server: text, binary of 262,145 bytes, compressed, closed with 3001", async () => {
  await converse(tab, "/whole", "bye");
  await h2.line(/stream \d+ "\/whole" closed: 3001 "bye"/);
});
await check("Chromium -> h2_server: two at once, in turn", async () => {
  const seen = await tab.evaluate(async () => {
    const [one, two] = await Promise.all([connect("/one"), connect("/two")]);
    const equal = [];
    for (let i = 0; i < 10; i += 1) equal.push(...await Promise.all([echo(one, random(50_000)), echo(two, `text ${i}`)]));
    return [equal.every(Boolean), await leave(one, 3001, ""), await echo(two, "still here"), await leave(two, 1000, "")];
  });
  assert.deepEqual(seen, [true, [3001, true], true, [1000, true]]);
  await h2.line(/stream \d+ "\/one" closed: 3001/);
  await h2.line(/stream \d+ "\/two" closed: 1000/);
  const peers = await Promise.all(["one", "two"].map(async (path) =>
    (await h2.line(new RegExp(`^(\\S+) stream \\d+ "/${path}" open, by extended CONNECT$`)))[1]));
  assert.equal(peers[0], peers[1], "one TCP connection for both");
});
await check("Chromium -> h2_server: to leave the page ends them", async () => {
  await tab.goto("about:blank");
  // Chromium says 1001, or goes without a word when it is busy.
  const ended = /stream \d+ "\/echo" (closed: 1001|transport (ended|was reset)|broken off)/;
  await until("two ends", () => h2.lines.filter((line) => ended.test(line)).length === 2);
});
await check("Chromium -> h2_server: nothing went wrong in the page", () => {
  assert.deepEqual([tab.errors, tab.complaints], [[], []]);
});
await browser.close();
finish();
