// Node `ws` as a server of wscat, with TLS and without. Usage: node node_server.mjs <wscat> <folder>, where
// the folder has authority.pem, server.pem and server.key; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Process, check, finish, freePort, listen } from "../node/harness.mjs";
import { closed, comes, echo, meet as meetWs, pings } from "../node/ws.mjs";

const [, , wscat, folder] = process.argv;
const authority = join(folder, "authority.pem");
const tls = { cert: readFileSync(join(folder, "server.pem")), key: readFileSync(join(folder, "server.key")) };
const run = (what, body) => check(`wscat -> node ws: ${what}`, body);
const meet = (args, options) => meetWs((url) => new Process(wscat, [...args, url]), options);

for (const [name, args, options] of [["ws", []], ["wss, --cacert", ["--cacert", authority], { tls }]]) {
  await run(`${name}: lines go out as text, the end of input closes with 1000`, async () => {
    const { ws, request, client } = await meet(args, options);
    assert.equal(request.url, "/path?query");
    const lines = ["hello", "", "发送数据 🦀", "x".repeat(70_000)];
    client.type(...lines);
    for (const line of lines) await comes(ws, line);
    client.endInput();
    assert.deepEqual(await closed(ws), [1000, ""]);
    assert.equal(await client.status(), 0);
    await client.line(/^close: 1000, clean$/);
  });
  await run(`${name}: text comes in as lines`, async () => {
    const { ws, client } = await meet(args, options);
    const texts = ["hello", "", "发送数据 🦀", ...[125, 126, 65_535, 65_536, 1 << 20].map((n) => "é".repeat(n / 2))];
    texts.forEach((text) => ws.send(text));
    client.endInput();
    assert.equal(await client.status(), 0);
    assert.deepEqual(client.out, texts);
  });
  await run(`${name}: long lines go out while their echoes come in`, async () => {
    const { ws, client } = await meet(args, options);
    echo(ws);
    const lines = [..."abcdefgh"].map((letter) => letter.repeat(2 << 20));
    client.type(...lines);
    client.endInput();
    assert.equal(await client.status(), 0);
    assert(lines.every((line, i) => line === client.out[i]) && client.out.length === lines.length);
  });
  await run(`${name}: files go out and come back as files`, async () => {
    const out = join(folder, `out of ${name}`);
    mkdirSync(out);
    writeFileSync(join(out, "000002.bin"), "was here before");
    const files = [randomBytes(3 << 20), Buffer.alloc(0), randomBytes(1000)];
    const names = files.map((data, i) => {
      const path = join(folder, `${i} of ${name}`);
      writeFileSync(path, data);
      return ["--binary-in", path];
    });
    const { ws, client } = await meet([...args, ...names.flat(), "--binary-out", out, "--no-input", "--count", "3"], options);
    echo(ws);
    for (const data of files) await comes(ws, data);
    assert.equal(await client.status(), 0);
    const back = ["000001.bin", "000003.bin", "000004.bin"].map((file) => readFileSync(join(out, file)));
    assert(files.every((data, i) => data.equals(back[i])));
    assert.equal(readFileSync(join(out, "000002.bin"), "utf8"), "was here before");
  });
}

await run("wss: a server that nobody vouches for is refused with status 3, and taken with --insecure", async () => {
  await assert.rejects(meet([], { tls }), /status 3: .*certificate/i);
  const { client } = await meet(["--insecure", "--message", "hi"], { tls });
  assert.equal(await client.status(), 0);
});
await run("wss: a server that goes without a Close is told of, with status 6", async () => {
  const { ws, client } = await meet(["--cacert", authority], { tls });
  ws._socket.end();
  assert.equal(await client.status(), 6);
  await client.line(/^close: 1006, not clean$/);
});
await run("header, origin, name and password are sent", async () => {
  const { request, client } = await meet(["-H", "X-One: 1", "-H", "Cookie:a=b", "--origin", "https://example.com", "--auth", "me:pass:word", "-m", "x"]);
  const { headers } = request;
  assert.deepEqual([headers["x-one"], headers.cookie, headers.origin], ["1", "a=b", "https://example.com"]);
  assert.equal(headers.authorization, "Basic " + Buffer.from("me:pass:word").toString("base64"));
  assert.equal(await client.status(), 0);
});
await run("a subprotocol is agreed", async () => {
  const { ws, client } = await meet(["--subprotocol", "chat.v2", "--subprotocol", "chat.v1", "-n"],
    { handleProtocols: (offered) => [...offered].at(-1) });
  await client.line(/^open, subprotocol chat\.v1$/);
  ws.close();
  assert.equal(await client.status(), 0);
});
for (const options of [[], ["--takeover"], ["--takeover", "--window-bits", "9"]]) {
  await run(["compression", ...options].join(" "), async () => {
    const { ws, client } = await meet(["--compress", ...options, "--verbose"], { perMessageDeflate: { threshold: 0 } });
    echo(ws);
    const lines = ["hello ".repeat(1000), "", "发送数据 🦀".repeat(100), "hello ".repeat(1000)];
    client.type(...lines);
    client.endInput();
    assert.equal(await client.status(), 0);
    assert.deepEqual(client.out, lines);
    await client.line(/^> text, \d+ bytes, compressed, mask /);
    await client.line(/^< text, \d+ bytes, compressed: /);
    await client.line(/^agreed on permessage-deflate/);
    assert.equal(ws.extensions.includes("permessage-deflate"), true);
  });
}
await run("pings are sent and their time is shown; the server's are answered", async () => {
  const { ws, client } = await meet(["--ping", "1"]);
  await client.line(/^pong after \d+\.\d+ ms$/);
  await pings(ws, "are \u001b you");
  await client.line(/^ping "are \\x1b you"$/);
  client.endInput();
  assert.equal(await client.status(), 0);
});
await run("a message cannot control the terminal, and shows as one line", async () => {
  const { ws, client } = await meet(["-n"]);
  ws.send("one\ntwo\u001b[2J\tthree\u202e");
  ws.close(1000, "re\u001bason");
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out, ["one\\ntwo\\u{1b}[2J\tthree\\u{202e}"]);
  await client.line(/^close: 1000 "re\\u\{1b\}ason", clean$/);
});
await run("the server closes: 0 for 1000, 1001 and none, 8 for other codes", async () => {
  for (const [code, status] of [[1000, 0], [1001, 0], [undefined, 0], [1011, 8], [3001, 8], [4999, 8]]) {
    const { ws, client } = await meet(["-n"]);
    ws.close(code, code && "理由");
    assert.equal(await client.status(), status);
    await client.line(new RegExp(code ? `^close: ${code} "理由", clean$` : "^close: 1005, clean$"));
  }
});
await run("wscat closes with the code and reason that it is given", async () => {
  const { ws, client } = await meet(["-m", "x", "--close-code", "3001", "--close-reason", "理由"]);
  assert.deepEqual(await closed(ws), [3001, "理由"]);
  assert.equal(await client.status(), 0);
});
await run("Ctrl-C closes", async () => {
  const { ws, client } = await meet([]);
  await client.line(/^open$/);
  assert.equal(await client.kill("SIGINT"), 0);
  assert.deepEqual(await closed(ws), [1000, ""]);
});
await run("--message, --count and --wait", async () => {
  const { ws, client } = await meet(["-m", "one", "-m", "two", "--count", "2"]);
  ws.on("message", (data) => setTimeout(() => ws.send(data.toString()), 200));
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out, ["one", "two"]);
  const { client: vain } = await meet(["-m", "one", "--count", "2", "--wait", "1"]);
  assert.equal(await vain.status(), 7);
});
await run("--json: every event is an object on a line", async () => {
  const { ws, client } = await meet(["--json", "-n"]);
  ws.send("a \"text\"\n");
  ws.send(Buffer.from([0, 1, 255]));
  ws.close(1000, "done");
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out.map((line) => JSON.parse(line)), [
    { type: "open", protocol: "" },
    { type: "message", text: "a \"text\"\n" },
    { type: "message", base64: "AAH/" },
    { type: "close", code: 1000, reason: "done", wasClean: true },
  ]);
});
await run("--verbose shows the handshake and the frames, both ways", async () => {
  const { ws, client } = await meet(["--verbose"]);
  const text = Buffer.from("in two pieces");
  ws.send(text.subarray(0, 3), { fin: false, binary: false });
  ws.send(text.subarray(3), { fin: true });
  client.type("hello");
  await comes(ws, "hello");
  client.endInput();
  assert.equal(await client.status(), 0);
  for (const line of [
    /^> GET \/path\?query HTTP\/1\.1$/, /^> Sec-WebSocket-Version: 13$/, /^< HTTP\/1\.1 101 Switching Protocols$/,
    /^< text, 3 bytes, more follows: "in "$/, /^< continuation, 10 bytes: "two pieces"$/,
    /^> text, 5 bytes, mask [0-9a-f]{8}: "hello"$/,
    /^> close, 2 bytes, mask [0-9a-f]{8}: 1000 \(normal closure\) ""$/, /^< close, 2 bytes: 1000 /,
  ]) await client.line(line);
});
await run("a violation by the server is answered with its code, with status 5", async () => {
  for (const [code, bytes] of [[1007, [0x81, 1, 0xff]], [1002, [0x81, 0x81, 1, 2, 3, 4, 5]], [1009, [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]]]) {
    const { ws, client } = await meet(["-n"]);
    ws._socket.write(Buffer.from(bytes));
    assert.equal((await closed(ws))[0], code);
    assert.equal(await client.status(), 5);
    await client.line(/^error: connection failed: /);
  }
});
await run("a server that goes without a Close is told of, with status 6", async () => {
  const { ws, client } = await meet(["-n"]);
  ws._socket.destroy();
  assert.equal(await client.status(), 6);
  await client.line(/^close: 1006, not clean$/);
});

/** Its status against a server that answers every request so. */
async function refused(answer, ...patterns) {
  const server = createServer((_, response) => answer(response));
  const port = await listen(server);
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    server.emit("request", request, { end: (text) => socket.end(text) });
  });
  const client = new Process(wscat, [`ws://127.0.0.1:${port}/`]);
  const status = await client.status();
  for (const pattern of patterns) await client.line(pattern);
  server.close();
  return status;
}

await run("a refusal is told of, with status 4", async () => {
  assert.equal(await refused((response) => response.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno\u001b way"),
    /^refused: HTTP status 403$/, /^ {2}no\\u\{1b\} way$/), 4);
  assert.equal(await refused((response) => response.end("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"),
    /^refused: HTTP status 401$/, /who you are: Basic realm="x"$/), 4);
});
await run("a redirect is told of and not followed, with status 4", async () => {
  assert.equal(await refused((response) => response.end("HTTP/1.1 302 Found\r\nLocation: wss://example.com/\r\nContent-Length: 0\r\n\r\n"),
    /^refused: HTTP status 302$/, /elsewhere: wss:\/\/example\.com\/$/), 4);
});
await run("what is no WebSocket handshake is told of, with status 5", async () => {
  assert.equal(await refused((response) => response.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"),
    /^error: connection failed: /), 5);
});
await run("a port where nobody listens: status 3; wrong arguments: status 2; no such file: status 1", async () => {
  const port = await freePort();
  for (const [status, pattern, ...args] of [
    [3, /refused/, `ws://127.0.0.1:${port}/`], [3, /refused/, `wss://127.0.0.1:${port}/`],
    [2, /scheme/, "http://127.0.0.1/"], [2, /fragment/, "ws://127.0.0.1/#here"], [2, /no colon/, "-H", "X", "ws://127.0.0.1/"],
    [2, /required/], [2, /code/, "--close-code", "1005", "ws://127.0.0.1/"],
    [1, /No such file/, "--binary-in", "/no/such/file", "ws://127.0.0.1/"],
  ]) {
    const client = new Process(wscat, args);
    assert.equal(await client.status(), status);
    await client.line(pattern);
  }
});
finish();
