// Usage: node check.mjs <echo_std> <chromium>; see run.sh.
import assert from "node:assert/strict";
import { fits, launch, openPage, reachable, state } from "../node/chromium.mjs";
import { TIMEOUT, check, finish, serve } from "../node/harness.mjs";

const [, , serverPath, chromiumPath] = process.argv;
const screenshots = new URL("screenshots/", import.meta.url).pathname;
const server = await serve(serverPath);
const browser = await launch(chromiumPath);
console.log(`Chromium ${browser.version()}, ${server.url}`);

await wide(await openPage(browser, server.url, { height: 760 }));
await phone(await openPage(browser, server.url, { width: 360, height: 740, dark: true }));
await http();
await compressed();
await browser.close();
finish();

function inLog(page, text) {
  return page.locator("#log [data-way=in]", { hasText: text }).first().waitFor();
}

async function wide(page) {
  await check("the page opens and connects", () => state(page, "open"));
  await check("no extension and no subprotocol is agreed", async () => {
    assert.deepEqual(await page.evaluate(() => [opened.extensions, opened.protocol]), ["", ""]);
  });
  await check("发送数据 comes back", async () => {
    await page.fill("#text", "发送数据");
    await page.click("#send-text button");
    await page.waitForFunction(() => seen.texts.includes("发送数据"));
    await inLog(page, "发送数据");
  });
  await check("empty text comes back", async () => {
    await page.click("#send-text button");
    await page.waitForFunction(() => seen.texts.includes(""));
  });
  await check("text that looks like HTML stays text", async () => {
    const text = "<img src=x onerror='window.hit=1'><b>bold</b>";
    await page.fill("#text", text);
    await page.press("#text", "Enter");
    await inLog(page, text);
    assert.equal(await page.evaluate(() => window.hit), undefined);
  });
  await check("a line is pushed every two seconds", async () => {
    const pushed = () => page.evaluate(() => seen.texts.filter((text) => /^connected for \d+ s$/.test(text)).length);
    const before = await pushed(), start = Date.now();
    await page.waitForFunction((n) => seen.texts.filter((text) => /^connected for \d+ s$/.test(text)).length >= n, before + 3);
    const took = Date.now() - start;
    assert(took > 3_500, `three lines took ${took} ms`);
  });
  await check("a binary of 262,145 bytes comes back equal", async () => {
    await page.selectOption("#size", "262145");
    await page.click("#send-binary button");
    await page.waitForFunction(() => seen.files.length === 1 && seen.sent.length === 1);
    assert.deepEqual(await page.evaluate(() => {
      const [sent, got] = [seen.sent[0], seen.files[0]];
      return [sent.length, got.length, sent.every((byte, i) => byte === got[i])];
    }), [262_145, 262_145, true]);
    await inLog(page, "binary, 262,145 bytes, equal to what was sent");
  });
  await page.screenshot({ path: `${screenshots}open.png` });
  await check("it closes cleanly with 3001 and a reason", async () => {
    await page.fill("#code", "3001");
    await page.fill("#reason", "再见 \"bye\"");
    await page.click("#close button");
    await page.waitForFunction(() => seen.closes.length);
    // The answer to a Close repeats its code, not its reason: the log has that.
    assert.deepEqual(await page.evaluate(() => seen.closes), [{ code: 3001, reason: "", wasClean: true }]);
    await state(page, "closed");
  });
  await check("the server's log tells of it", () => server.line(/"\/ticker" closed: 3001 "再见 \\"bye\\""/));
  await page.screenshot({ path: `${screenshots}closed.png` });
  await check("it connects again", async () => {
    await page.click("#close button");
    await state(page, "open");
  });
  await check("to leave the page ends the connection", async () => {
    await page.goto("about:blank");
    // Chromium says 1001, or goes without a word when it is busy.
    await server.line(/"\/ticker" (closed: 1001|transport ended|transport was reset|broken off)/);
  });
  await check("nothing went wrong in the page", () => assert.deepEqual([page.errors, page.complaints], [[], []]));
}

async function phone(page) {
  await check("at phone width: the page connects", () => state(page, "open"));
  await check("at phone width: nothing is wider than the screen", async () => {
    await page.fill("#text", "a long line without a place to break it: " + "x".repeat(300));
    await page.click("#send-text button");
    await page.click("#send-binary button");
    await inLog(page, "binary, 16 bytes, equal to what was sent");
    await fits(page);
  });
  await check("at phone width: every control can be reached", () => reachable(page, "button"));
  await inLog(page, "connected for");
  await page.screenshot({ path: `${screenshots}phone.png` });
}

async function http() {
  const status = async (path) => (await fetch(new URL(path, server.url), { signal: AbortSignal.timeout(TIMEOUT) })).status;
  await check("plain requests: the page is 200, /ticker 426, anything else 404", async () => {
    assert.deepEqual([await status("/"), await status("/ticker"), await status("/favicon.ico")], [200, 426, 404]);
  });
}

// Compressed text and binary, there and back, on a connection for each way of agreeing on it.
async function compressed() {
  const both = "server_no_context_takeover; client_no_context_takeover";
  for (const [options, parameters] of [
    [[], `; ${both}`],
    [["--takeover"], ""],
    [["--takeover", "--window-bits", "9"], "; server_max_window_bits=9; client_max_window_bits=9"],
    [["--takeover", "--window-bits", "12"], "; server_max_window_bits=12; client_max_window_bits=12"],
    [["--window-bits", "10"], `; ${both}; server_max_window_bits=10; client_max_window_bits=10`],
  ]) {
    await check(`compressed: ${["--deflate", ...options].join(" ")}`, async () => {
      const { url } = await serve(serverPath, ["--deflate", ...options]);
      // Any page of the server will do; it has a socket of its own.
      const page = await openPage(browser, url + "favicon.ico");
      const seen = await page.evaluate(async ([url, limit]) => {
        const ws = new WebSocket(url);
        ws.binaryType = "arraybuffer";
        await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = () => reject(new Error("not opened")); });
        const json = (n) => JSON.stringify(Array.from({ length: n }, (_, i) => ({ id: i, name: `user${i % 7}` })));
        const random = crypto.getRandomValues(new Uint8Array(60_000));
        const messages = ["", "a", "hello ".repeat(100), json(20), json(21), json(3000), "\u53d1\u9001\u{1f980}".repeat(500), json(3000),
          new Uint8Array(0), random, new Uint8Array(1 << 20), new TextEncoder().encode(json(2000)), random.slice(0, 300)];
        const same = (got, sent) => typeof sent === "string" ? got === sent
          : (got = new Uint8Array(got)).length === sent.length && sent.every((byte, i) => byte === got[i]);
        const echoes = [];
        const all = new Promise((resolve, reject) => {
          ws.onclose = ({ code }) => reject(new Error(`closed: ${code}`));
          setTimeout(() => reject(new Error(`${echoes.length} echoes in time`)), limit);
          ws.onmessage = ({ data }) => echoes.push(data) === 2 * messages.length && resolve();
        });
        for (let round = 0; round < 2; round += 1) for (const message of messages) ws.send(message);
        await all;
        const wrong = echoes.filter((echo, i) => !same(echo, messages[i % messages.length])).length;
        const closed = new Promise((resolve) => { ws.onclose = ({ code }) => resolve(code); });
        ws.close(1000);
        return [ws.extensions, wrong, await closed];
      }, [url.replace("http", "ws") + "echo", TIMEOUT]);
      assert.deepEqual(seen, [`permessage-deflate${parameters}`, 0, 1000]);
      await page.context().close();
    });
  }
}
