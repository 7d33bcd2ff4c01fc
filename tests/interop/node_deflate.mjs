// Node `ws` and compressed messages, as a client of echo_std and as a server of client_std.
// Usage: node node_deflate.mjs <echo_std> <client_std>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Process, check, finish, scratch, serve } from "../node/harness.mjs";
import { close, closed, comes, echoes, meet, open } from "../node/ws.mjs";

const [, , echoStd, clientStd] = process.argv;
const folder = scratch();

// Our options, those of `ws`, and what has to be agreed on.
const both = "server_no_context_takeover; client_no_context_takeover";
const CASES = [
  [[], {}, both],
  [["--takeover"], {}, ""],
  [["--takeover"], { serverNoContextTakeover: true }, "server_no_context_takeover"],
  [["--takeover"], { clientNoContextTakeover: true }, "client_no_context_takeover"],
  [["--takeover", "--window-bits", "9"], {}, "server_max_window_bits=9; client_max_window_bits=9"],
  [["--takeover", "--window-bits", "12"], {}, "server_max_window_bits=12; client_max_window_bits=12"],
  [["--takeover"], { serverMaxWindowBits: 10, clientMaxWindowBits: 11 }, "server_max_window_bits=10; client_max_window_bits=11"],
  [["--window-bits", "10"], {}, `${both}; server_max_window_bits=10; client_max_window_bits=10`],
];
const json = (n) => JSON.stringify(Array.from({ length: n }, (_, i) => ({ id: i, name: `user${i % 7}`, ok: i % 2 === 0 })));
const MESSAGES = [
  "", "a", "hello ".repeat(100), json(20), json(21), json(3000), "发送数据 🦀 ".repeat(500), json(3000),
  Buffer.alloc(0), randomBytes(70_000), Buffer.alloc(1 << 20), Buffer.from(json(2000)), randomBytes(300),
];
// Lines of the client's input have no line ends, and only text.
const LINES = MESSAGES.filter((message) => typeof message === "string");

/** The parameters that `ws` has come to, in the words of the header. */
function reply(ws) {
  const { params } = ws._extensions["permessage-deflate"];
  return Object.entries(params).map(([name, value]) => (value === true ? name : `${name}=${value}`)).join("; ");
}

const sorted = (parameters) => parameters.split("; ").sort();

for (const [ours, theirs, agreed] of CASES) {
  const what = `${["--deflate", ...ours].join(" ")}, ${JSON.stringify(theirs)}`;
  await check(`node ws -> echo_std, compressed: ${what}`, async () => {
    const server = await serve(echoStd, ["--deflate", ...ours]);
    const ws = await open(server.url + "echo", [], { perMessageDeflate: { threshold: 0, ...theirs } });
    assert.deepEqual(sorted(reply(ws)), sorted(agreed));
    const before = ws._socket.bytesRead;
    for (const message of MESSAGES) await echoes(ws, message);
    // In one go, and in fragments.
    for (const message of MESSAGES) ws.send(message);
    for (const message of MESSAGES) await comes(ws, message);
    const text = Buffer.from(json(300));
    for (let at = 0; at < text.length; at += 1000)
      ws.send(text.subarray(at, at + 1000), { fin: at + 1000 >= text.length, binary: false, compress: true });
    await comes(ws, text.toString());
    const plain = MESSAGES.reduce((sum, message) => sum + message.length, text.length);
    assert(ws._socket.bytesRead - before < plain, "it was compressed");
    assert.equal((await close(ws, 1000))[0], 1000);
    await server.kill();
  });
  await check(`client_std -> node ws, compressed: ${what}`, async () => {
    const binary = Buffer.from(json(5000)), file = join(folder, "binary");
    writeFileSync(file, binary);
    const { ws, client } = await meet((url) => new Process(clientStd, ["--deflate", ...ours, "--binary", file, url]),
      { perMessageDeflate: { threshold: 0, ...theirs } });
    assert.deepEqual(sorted(reply(ws)), sorted(agreed));
    await comes(ws, binary);
    assert(ws._socket.bytesRead < binary.length / 2, "it was compressed");
    ws.send(binary);
    await client.line(new RegExp(`^binary, ${binary.length} bytes`));
    for (let round = 0; round < 2; round += 1)
      for (const line of LINES) {
        client.type(line);
        await comes(ws, line);
        ws.send(line);
      }
    client.endInput();
    assert.equal((await closed(ws))[0], 1000);
    assert.equal(await client.status(), 0);
    assert.deepEqual(client.out, [...LINES, ...LINES]);
  });
}

await check("echo_std --deflate -> a client that does not compress", async () => {
  const server = await serve(echoStd, ["--deflate"]);
  const ws = await open(server.url + "echo");
  assert.equal(ws.extensions, "");
  await echoes(ws, "a".repeat(10_000));
});
finish();
