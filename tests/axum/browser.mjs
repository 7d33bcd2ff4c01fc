// Chromium as guests of axum_chat. Usage: node browser.mjs <axum_chat> <chromium>; see run.sh.
import assert from "node:assert/strict";
import { launch, openPage } from "../node/chromium.mjs";
import { check, finish, serve } from "../node/harness.mjs";

const [, , serverPath, chromiumPath] = process.argv;
const server = await serve(serverPath);
const browser = await launch(chromiumPath);
const run = (what, body) => check(`Chromium -> axum_chat: ${what}`, body);
const [ada, bob] = [await openPage(browser, `${server.url}?name=ada`), await openPage(browser, `${server.url}?name=bob`)];

await run("two pages open, with a subprotocol and compression", async () => {
  for (const page of [ada, bob])
    await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("open, subprotocol chat.v1, permessage-deflate"));
});
await run("what one says both hear", async () => {
  await ada.fill("input", "hello 发送数据");
  await ada.click("button");
  for (const page of [ada, bob]) await page.waitForFunction(() => seen.texts.includes("ada: hello 发送数据"));
  await bob.fill("input", "<b>hi</b>");
  await bob.click("button");
  for (const page of [ada, bob]) await page.waitForFunction(() => document.querySelector("#log").textContent.endsWith("bob: <b>hi</b>\n"));
});
await run("binary and long text, compressed where it pays", async () => {
  await ada.evaluate(() => {
    opened.send("well, ".repeat(10_000));
    opened.send(new Uint8Array(50_000).map((_, i) => i * i));
  });
  for (const page of [ada, bob]) {
    await page.waitForFunction(() => seen.texts.includes("ada: " + "well, ".repeat(10_000)) && seen.files.length === 1);
    assert(await page.evaluate(() => seen.files[0].length === 50_000 && seen.files[0].every((byte, i) => byte === (i * i & 255))));
  }
});
await run("a page closes with 3001", async () => {
  await bob.evaluate(() => opened.close(3001, "bye"));
  await bob.waitForFunction(() => seen.closes.length);
  assert.deepEqual(await bob.evaluate(() => seen.closes), [{ code: 3001, reason: "", wasClean: true }]);
  await server.line(/^"bob" left$/);
});
await run("Ctrl-C closes the other with 1001, and ends the server", async () => {
  assert.equal(await server.kill("SIGINT"), 0);
  await ada.waitForFunction(() => seen.closes.length);
  assert.deepEqual(await ada.evaluate(() => seen.closes), [{ code: 1001, reason: "", wasClean: true }]);
});
await run("nothing went wrong in the pages", () => {
  for (const page of [ada, bob]) assert.deepEqual([page.errors, page.complaints], [[], []]);
});
await browser.close();
finish();
