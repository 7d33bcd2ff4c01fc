// wscat --listen against Node `ws` and against wscat, and wscat against echo_std.
// Usage: node listen.mjs <wscat> <echo_std> <folder>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { Process, check, finish, serve, within } from "../node/harness.mjs";
import { close, closed, comes, open } from "../node/ws.mjs";

const [, , wscat, echoStd, folder] = process.argv;
const listen = (...args) => serve(wscat, [...args, "--listen"]);

let run = (what, body) => check(`node ws -> wscat --listen: ${what}`, body);

await run("prints what comes, sends the input, and closes at its end", async () => {
  const server = await listen();
  const ws = await open(server.url + "path", [], { origin: "https://example.com" });
  await server.line(/^open: \/path, origin https:\/\/example\.com$/);
  ws.send("hello 发送");
  await server.line(/^hello 发送$/);
  server.type("one", "two");
  await comes(ws, "one");
  await comes(ws, "two");
  server.endInput();
  assert.deepEqual(await closed(ws), [1000, ""]);
  assert.equal(await server.status(), 0);
});
await run("serves one client after the other, and answers plain requests", async () => {
  const server = await listen("--compress", "--takeover");
  for (const name of ["first", "second"]) {
    const ws = await open(server.url, [], { perMessageDeflate: { threshold: 0 } });
    assert.equal(ws.extensions.includes("permessage-deflate"), true);
    ws.send(name.repeat(100));
    await server.line(new RegExp(`^(${name}){100}$`));
    assert.equal((await close(ws, 3001, name))[0], 3001);
    await server.line(new RegExp(`^close: 3001 "${name}", clean$`));
    const [response] = await within(once(get(server.url.replace("ws:", "http:"), { agent: false }), "response"), "a response");
    assert.equal(response.statusCode, 426);
    response.resume();
  }
  const ws = await open(server.url);
  assert.equal(await server.kill("SIGINT"), 0);
  assert.deepEqual(await closed(ws), [1000, ""]);
});
await run("a subprotocol is agreed", async () => {
  const server = await listen("--subprotocol", "chat.v1", "--once", "-n");
  const ws = await open(server.url, ["chat.v2", "chat.v1"]);
  assert.equal(ws.protocol, "chat.v1");
  await close(ws, 1000);
  assert.equal(await server.status(), 0);
});

run = (what, body) => check(`wscat -> wscat --listen: ${what}`, body);

await run("lines and files, both ways at a time", async () => {
  const [file, out] = [join(folder, "pair"), join(folder, "pair-out")];
  const data = randomBytes(2 << 20);
  writeFileSync(file, data);
  mkdirSync(out);
  const server = await listen("--once", "--compress", "--binary-in", file, "--ping", "1");
  const client = new Process(wscat, ["--compress", "--binary-out", out, "--ping", "1", server.url]);
  await client.line(/^binary, 2097152 bytes: /);
  assert(readFileSync(join(out, "000001.bin")).equals(data));
  const lines = [..."abcdefgh"].map((letter) => letter.repeat(100_000));
  client.type(...lines);
  server.type(...lines);
  await client.line(/^h{100000}$/);
  await server.line(/^h{100000}$/);
  assert.deepEqual(client.out, lines);
  assert.deepEqual(server.out, lines);
  for (const end of [client, server]) await end.line(/^pong after /);
  client.endInput();
  assert.equal(await client.status(), 0);
  assert.equal(await server.status(), 0);
});

run = (what, body) => check(`wscat -> echo_std: ${what}`, body);

await run("lines come back, compressed and not; its pushed lines arrive", async () => {
  const server = await serve(echoStd, ["--deflate"]);
  const url = server.url.replace("http", "ws");
  for (const args of [[], ["--compress"], ["--compress", "--takeover"]]) {
    const client = new Process(wscat, [...args, url]);
    const lines = ["hello", "", "发送数据 🦀", "x".repeat(300_000)];
    client.type(...lines);
    client.endInput();
    assert.equal(await client.status(), 0);
    assert.deepEqual(client.out, lines);
  }
  const pushed = new Process(wscat, ["-n", "--count", "1", `${url}ticker`]);
  assert.equal(await pushed.status(), 0);
  assert.match(pushed.out[0], /^connected for \d+ s$/);
});
finish();
