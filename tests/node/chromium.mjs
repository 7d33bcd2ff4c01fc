// Chromium, and pages that keep what goes wrong and what their sockets see.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { TIMEOUT } from "./harness.mjs";

/** A browser, which ends with this process. */
export function launch(executablePath, ...more) {
  return chromium.launch({
    executablePath,
    timeout: 60_000,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more],
  });
}

/** A page with `errors`, which nobody caught, `complaints` of the browser, and in it `opened`, the last
    socket, and `seen` by all of them. */
export async function openPage(browser, url, { width = 1000, height = 720, dark = false, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", locale: "en-GB", ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.errors = [];
  page.complaints = [];
  page.on("pageerror", (error) => page.errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && page.complaints.push(line.text()));
  await page.addInitScript(() => {
    const seen = (window.seen = { texts: [], files: [], sent: [], closes: [] });
    const keep = async (list, data) => list.push(new Uint8Array(await new Response(data).arrayBuffer()));
    window.WebSocket = class extends WebSocket {
      constructor(...rest) {
        super(...rest);
        window.opened = this;
        this.addEventListener("message", ({ data }) =>
          (typeof data === "string" ? seen.texts.push(data) : keep(seen.files, data)));
        this.addEventListener("close", ({ code, reason, wasClean }) => seen.closes.push({ code, reason, wasClean }));
      }
      send(data) {
        if (typeof data !== "string") keep(seen.sent, data);
        super.send(data);
      }
    };
  });
  await page.goto(url);
  return page;
}

/** Waits until the page of an example says that its connection is in this state. */
export function state(page, name) {
  return page.waitForFunction((name) => document.querySelector("#status").dataset.state === name, name);
}

/** Nothing is wider than the screen. */
export async function fits(page) {
  const [width, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert(width <= screen, `${width} of ${screen} pixels`);
}

/** Each of these controls is on the screen, and high enough for a thumb. */
export async function reachable(page, controls) {
  const { width } = page.viewportSize();
  for (const control of await page.locator(controls).all()) {
    const box = await control.boundingBox();
    assert(box.x >= 0 && box.x + box.width <= width && box.height >= 36, JSON.stringify(box));
  }
}
