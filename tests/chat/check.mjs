// Usage: node check.mjs <chat_tokio> <redis-server> <chromium>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { fits, reachable, state } from "../node/chromium.mjs";
import { TIMEOUT, check, finish, until } from "../node/harness.mjs";
import { Member, browser, enter, openPage, say, screenshots, sees, shows, startRedis, startServer, texts } from "./harness.mjs";

const TOKENS = { ada: "key-ada", bob: "key&bob=?", eve: "key-eve" };
const token = (name) => `token=${encodeURIComponent(TOKENS[name])}`;
const named = (name) => `name=${encodeURIComponent(name)}`;

console.log(`Chromium ${browser.version()}`);
await tokens();
await limits();
await shared();
await browser.close();
finish();

// One server with tokens: who gets in, who hears what, and the server's end.
async function tokens() {
  const options = Object.entries(TOKENS).flatMap(([name, secret]) => ["--token", `${name}=${secret}`]);
  let server = await startServer(options);
  const get = (path) => fetch(new URL(path, server.url), { signal: AbortSignal.timeout(TIMEOUT) });

  await check("plain HTTP: the page, 401 without a token, 426 with it, 404 elsewhere", async () => {
    const answers = await Promise.all(["/", "/room/red", "/room/red?token=no", `/room/red?${token("ada")}`, "/x"].map(get));
    assert.deepEqual(answers.map(({ status }) => status), [200, 401, 401, 426, 404]);
    assert.match(await answers[0].text(), /<title>sockless chat/);
    assert.match(answers[0].headers.get("content-security-policy"), /default-src 'none'/);
    assert.equal(answers[1].headers.get("www-authenticate"), "Bearer");
    assert.match(await answers[1].text(), /token/);
  });
  await check("a WebSocket without a valid token is refused with 401", async () => {
    for (const who of ["", "token=key-ad", "name=ada"])
      assert.equal(await new Member(server, "red", who).refused(), 401, who);
  });
  await check("a page of another site is refused with 403, its own is not", async () => {
    assert.equal(await new Member(server, "red", token("ada"), { origin: "http://evil.example" }).refused(), 403);
    const member = await Member.join(server, "own", token("ada"), { origin: `http://${server.address}` });
    member.ws.terminate();
  });
  await check("a token in the Authorization header will do", async () => {
    const member = new Member(server, "own", "", { headers: { Authorization: `Bearer ${TOKENS.eve}` } });
    assert.equal((await member.hears("welcome")).name, "eve");
    member.ws.terminate();
  });
  await check("a page with a wrong token says so, and does not try again", async () => {
    const page = await openPage(server);
    await page.fill("#who", "wrong");
    await page.click("#join button");
    await page.locator("#why", { hasText: "The token is not valid (401)." }).waitFor();
    await state(page, "closed");
    await page.screenshot({ path: `${screenshots}refused.png` });
    assert.deepEqual((await page.evaluate(() => seen.closes)).map(({ code }) => code), [1006]);
    await page.close();
  });

  const [ada, bob, eve] = [await openPage(server), await openPage(server), await openPage(server, { dark: true })];
  await check("three pages enter two rooms, and see who is there", async () => {
    await enter(ada, "red", TOKENS.ada);
    await enter(bob, "red", TOKENS.bob);
    await enter(eve, "blue", TOKENS.eve);
    await sees(ada, "ada", "bob");
    await sees(bob, "ada", "bob");
    await sees(eve, "eve");
    await shows(ada, "bob joined");
    await shows(bob, "Welcome, bob. Here already: ada.");
  });
  await check("text reaches the other in the room; not its sender, not the other room", async () => {
    const text = "发送 <b>数据</b> \"quoted\" \u{1f980}";
    await say(ada, text);
    await shows(bob, text);
    // Behind it, so that what has not come by then does not come.
    await say(bob, "an answer");
    await shows(ada, "an answer");
    const blue = await Member.join(server, "blue", token("ada"));
    blue.send({ type: "text", text: "only in blue" });
    await shows(eve, "only in blue");
    const said = async (page) => (await texts(page)).filter(({ type }) => type === "text").map(({ from, text }) => [from, text]);
    assert.deepEqual(await said(ada), [["bob", "an answer"]]);
    assert.deepEqual(await said(bob), [["ada", text]]);
    assert.deepEqual(await said(eve), [["ada", "only in blue"]]);
    blue.ws.close(1000);
    await shows(eve, "ada left");
    await sees(eve, "eve");
  });
  await check("a file stays binary, byte for byte, from page to page and to a raw member", async () => {
    const raw = await Member.join(server, "red", token("eve"));
    const file = randomBytes(200_000);
    await ada.setInputFiles("#file", { name: "random.bin", mimeType: "application/octet-stream", buffer: file });
    await shows(bob, "random.bin (200,000 bytes)");
    await bob.waitForFunction(() => seen.files.length === 1);
    assert(Buffer.from(await bob.evaluate(() => seen.files[0])).equals(file));
    await until("the file", () => raw.files.length === 1);
    assert(raw.files[0].equals(file));
    assert.deepEqual(await raw.hears("binary"), { type: "binary", from: "ada", name: "random.bin", size: 200_000 });
    // Back again, without a name; the empty one too.
    for (const data of [Buffer.alloc(0), randomBytes(70_000)]) {
      raw.send(data);
      await shows(ada, `a file (${data.length.toLocaleString("en")} bytes)`);
    }
    await ada.waitForFunction(() => seen.files.length === 2);
    assert.deepEqual(await ada.evaluate(() => seen.files.map(({ length }) => length)), [0, 70_000]);
    assert.equal(raw.files.length, 1);
    raw.ws.close(1000);
  });
  await check("a picture is shown", async () => {
    const png = Buffer.from(await ada.evaluate(async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 240, height: 120 });
      const paint = canvas.getContext("2d"), sky = paint.createLinearGradient(0, 0, 240, 120);
      sky.addColorStop(0, "#1554c0");
      sky.addColorStop(1, "#f6b26b");
      paint.fillStyle = sky;
      paint.fillRect(0, 0, 240, 120);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve));
      return Array.from(new Uint8Array(await blob.arrayBuffer()));
    }));
    await ada.setInputFiles("#file", { name: "sky.png", mimeType: "image/png", buffer: png });
    await bob.waitForFunction(() => document.querySelector("#log img")?.naturalWidth === 240);
  });
  await check("a private message reaches its receiver alone", async () => {
    const other = await Member.join(server, "red", token("eve"));
    await say(ada, "psst", "bob");
    await shows(bob, "psst");
    await say(ada, "aloud");
    await other.hears("text", { text: "aloud" });
    assert.equal(other.find("private"), undefined);
    assert.deepEqual((await texts(bob)).find(({ type }) => type === "private"),
      { type: "private", from: "ada", to: "bob", text: "psst" });
    other.send({ type: "private", to: "nobody", text: "?" });
    assert.equal((await other.hears("error")).code, "nobody");
    other.ws.close(1000);
  });
  await check("the same name twice is one member, until its last connection is gone", async () => {
    const [first, second] = [await Member.join(server, "green", token("ada")), await Member.join(server, "green", token("bob"))];
    const again = await Member.join(server, "green", token("bob"));
    assert.deepEqual(again.find("welcome").members, ["ada", "bob"]);
    second.ws.close(1000);
    again.send({ type: "text", text: "still here" });
    await first.hears("text");
    again.ws.close(1000);
    await first.hears("leave", { name: "bob" });
    assert.deepEqual(first.heard.map(({ type }) => type), ["welcome", "join", "text", "leave"]);
    first.ws.close(1000);
  });
  await say(bob, "Have you seen the sky today?");
  await say(ada, "I have. It is somewhere between blue and orange, and nobody has told it that this is not how it is done.");
  await shows(bob, "somewhere between");
  await bob.screenshot({ path: `${screenshots}desktop.png` });

  await check("at phone width, in the dark: nothing is wider than the screen, every control can be reached", async () => {
    const page = await openPage(server, { width: 360, height: 740, dark: true });
    await page.screenshot({ path: `${screenshots}phone-join.png` });
    await enter(page, "red", TOKENS.eve);
    await sees(page, "ada", "bob", "eve");
    await say(page, "a long line without a place to break it: " + "x".repeat(200));
    await say(bob, "What a long line!", "eve");
    await say(ada, "Good evening, eve.");
    await shows(page, "What a long line!");
    await shows(page, "Good evening");
    await fits(page);
    await reachable(page, "button:visible, select:visible, #text");
    await page.screenshot({ path: `${screenshots}phone-dark.png` });
    await page.click("#leave");
    await state(page, "idle");
    await page.close();
    await shows(ada, "eve left");
  });
  await say(eve, "Is anybody here?");
  await eve.screenshot({ path: `${screenshots}desktop-dark.png` });

  await check("Ctrl-C: every connection gets 1001, and the server ends", async () => {
    const raw = await Member.join(server, "red", token("eve"));
    const idle = connect(new URL(server.url).port, "127.0.0.1").on("error", () => {});
    await once(idle, "connect");
    assert.equal(await server.kill("SIGINT"), 0);
    assert.deepEqual(await raw.closes(), { code: 1001, reason: "the server is shutting down" });
    for (const page of [ada, bob, eve]) {
      await page.waitForFunction(() => seen.closes.length > 0);
      assert.deepEqual((await page.evaluate(() => seen.closes))[0], { code: 1001, reason: "the server is shutting down", wasClean: true });
    }
    idle.destroy();
  });
  await check("the pages say that they wait, and are back by themselves when the server is", async () => {
    await shows(bob, "Disconnected: the server is shutting down.");
    await until("a countdown", async () => /reconnecting in \d+ s/.test(await bob.textContent("#status")));
    await bob.screenshot({ path: `${screenshots}waiting.png` });
    await eve.setViewportSize({ width: 360, height: 740 });
    await eve.screenshot({ path: `${screenshots}phone-waiting.png` });
    await fits(eve);
    server = await startServer(options, server.address);
    for (const page of [ada, bob, eve]) await state(page, "open");
    await sees(ada, "ada", "bob");
    await say(ada, "again");
    await shows(bob, "again");
  });
  await check("nothing went wrong in the pages", () => {
    for (const page of [ada, bob, eve]) assert.deepEqual(page.errors, []);
  });
  for (const page of [ada, bob, eve]) await page.close();
  await server.kill();
}

// What one member can do to the others.
async function limits() {
  const crowded = await startServer(["--open", "--max-members", "2", "--max-rooms", "2"]);
  await check("a full room, and one room too many, are 503; until somebody leaves", async () => {
    const [a, b] = [await Member.join(crowded, "full", named("a")), await Member.join(crowded, "full", named("b"))];
    assert.equal(await new Member(crowded, "full", named("c")).refused(), 503);
    await Member.join(crowded, "other", named("d"));
    assert.equal(await new Member(crowded, "third", named("e")).refused(), 503);
    b.ws.close(1000);
    await a.hears("leave", { name: "b" });
    await Member.join(crowded, "full", named("c"));
  });
  await crowded.kill();

  const open = await startServer(["--open"]);
  await check("an open server takes pages from here, and not what Host says (T86)", async () => {
    const port = new URL(open.url).port;
    const ask = (host, origin = `http://${host}`) => [open, "red", named("ada"), { headers: { Host: host }, origin }];
    assert.equal(await new Member(...ask(`evil.example:${port}`)).refused(), 403);
    assert.equal(await new Member(...ask(open.address, `http://evil.example:${port}`)).refused(), 403);
    for (const host of [open.address, `localhost:${port}`]) (await Member.join(...ask(host))).ws.terminate();
    // A program that is no browser says no origin.
    (await Member.join(open, "red", named("ada"), { headers: { Host: `evil.example:${port}` } })).ws.terminate();
  });
  await open.kill();

  const server = await startServer(["--open", "--deflate", "--rate", "1000", "--max-message", "131072",
    "--max-queue", "262144"]);
  await check("compressed both ways: a page and a raw member agree", async () => {
    const page = await openPage(server);
    await enter(page, "deflate", "ada");
    const raw = await Member.join(server, "deflate", named("bob"), { perMessageDeflate: true });
    assert.match(raw.ws.extensions, /permessage-deflate/);
    const text = "again and ".repeat(500);
    raw.send({ type: "text", text });
    await shows(page, text.trim());
    await say(page, text);
    await raw.hears("text", { text });
    raw.ws.close(1000);
    await page.context().close();
  });
  await check("what is no message is answered; what is too long is 1009", async () => {
    const member = await Member.join(server, "odd", named("ada"));
    for (const text of ["hello", "[]", "{\"type\":\"shout\"}", "{\"type\":\"text\"}"]) {
      member.heard.length = 0;
      member.send(text);
      assert.equal((await member.hears("error")).code, "invalid", text);
    }
    member.send(Buffer.alloc(131_073));
    assert.equal((await member.closes()).code, 1009);
  });
  await check("who floods is told, then closed with 1008", async () => {
    const member = await Member.join(server, "flood", named("ada"));
    for (let n = 0; n < 200_000 && !member.close; n += 1000) {
      for (let i = 0; i < 1000; i += 1) member.send({ type: "file", name: "x" });
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal((await member.closes()).code, 1008);
    assert.equal(member.find("error").code, "rate");
  });
  await check("who reads too slowly is closed with 1013, while the others go on", async () => {
    const [sender, reader, slow] = [await Member.join(server, "slow", named("sender")),
      await Member.join(server, "slow", named("reader")), await Member.join(server, "slow", named("slow"))];
    slow.ws.pause();
    // One at a time, so that only the one who does not read at all falls behind.
    let sent = 0;
    while (!sender.find("leave", { name: "slow" })) {
      assert(sent < 2000, "200 MiB wait for one member");
      sender.send(randomBytes(100_000));
      sent += 1;
      await until(`file ${sent}`, () => reader.files.length === sent);
    }
    slow.ws.resume();
    assert.deepEqual(await slow.closes(), { code: 1013, reason: "you read too slowly" });
    assert(slow.files.length > 0 && slow.files.length < sent, `${slow.files.length} of ${sent}`);
    sender.send({ type: "text", text: "and on" });
    await reader.hears("text", { text: "and on" });
    await reader.hears("leave", { name: "slow" });
    sender.ws.terminate();
    reader.ws.terminate();
  });
  await server.kill();
}

// Two servers and a Redis, each of which goes away and comes back.
async function shared() {
  let redis = await startRedis();
  const options = ["--open", "--redis", redis.url];
  const first = await startServer(options);
  let second = await startServer(options);
  const [ada, bob] = [await openPage(first), await openPage(second)];
  const eve = await Member.join(second, "red", named("eve"));

  await check("two servers share a room: its members, text, files, private messages", async () => {
    await enter(ada, "red", "ada");
    await enter(bob, "red", "bob");
    await sees(ada, "ada", "bob", "eve");
    await sees(bob, "ada", "bob", "eve");
    await eve.hears("join", { name: "ada" });
    await say(ada, "over there?");
    await shows(bob, "over there?");
    await say(bob, "over here!");
    await shows(ada, "over here!");
    const file = randomBytes(100_000);
    await bob.setInputFiles("#file", { name: "far.bin", mimeType: "application/octet-stream", buffer: file });
    await ada.waitForFunction(() => seen.files.length === 1);
    assert(Buffer.from(await ada.evaluate(() => seen.files[0])).equals(file));
    await say(ada, "far psst", "bob");
    await shows(bob, "far psst");
    await say(ada, "for all");
    await eve.hears("text", { text: "for all" });
    assert.equal(eve.find("private"), undefined);
    // Each came once, although both servers hear what Redis spreads.
    const count = (all, text) => all.filter((message) => message.text === text).length;
    assert.deepEqual([count(await texts(bob), "over there?"), count(await texts(ada), "over there?"), count(eve.heard, "for all")], [1, 0, 1]);
    const elsewhere = await Member.join(second, "blue", named("dan"));
    assert.deepEqual(elsewhere.find("welcome").members, ["dan"]);
    elsewhere.ws.close(1000);
  });
  await check("one is killed: its members leave the list; started again, they are back by themselves", async () => {
    await second.kill("SIGKILL");
    await shows(ada, "bob left");
    await sees(ada, "ada");
    await until("bob waits", async () => /reconnecting/.test(await bob.textContent("#status")));
    second = await startServer(options, second.address);
    await state(bob, "open");
    await sees(ada, "ada", "bob");
    await sees(bob, "ada", "bob");
    await say(bob, "back");
    await shows(ada, "back");
  });
  await check("Redis is killed: a notice, and each server's rooms go on", async () => {
    await redis.kill("SIGKILL");
    for (const page of [ada, bob]) await page.locator("#notice").waitFor();
    await sees(ada, "ada");
    await sees(bob, "bob");
    const near = await Member.join(first, "red", named("near"));
    assert.equal(near.find("welcome").sharing, "lost");
    await say(ada, "still here");
    await near.hears("text", { text: "still here" });
    near.send({ type: "text", text: "so am I" });
    await shows(ada, "so am I");
    await ada.screenshot({ path: `${screenshots}redis-lost.png` });
    near.ws.close(1000);
    await shows(ada, "near left");
  });
  await check("Redis is back: rooms are shared again by themselves", async () => {
    redis = await startRedis(redis.port);
    for (const page of [ada, bob]) await page.locator("#notice").waitFor({ state: "hidden" });
    await sees(ada, "ada", "bob");
    await sees(bob, "ada", "bob");
    await say(ada, "hello again");
    await shows(bob, "hello again");
    await say(bob, "and to you");
    await shows(ada, "and to you");
    assert.equal((await texts(bob)).find(({ text }) => text === "still here"), undefined);
  });
  await check("a server that ends says so to the others", async () => {
    assert.equal(await second.kill("SIGINT"), 0);
    await shows(ada, "bob left");
    assert.deepEqual([...ada.errors, ...bob.errors], []);
  });
  await first.kill();
  await redis.kill();
}
