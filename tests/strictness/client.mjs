// An echo client on `ws`: for each line of its input, a URL and perhaps a subprotocol, it opens a connection.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { WebSocket } = createRequire(new URL("../node/", import.meta.url))("ws");

for await (const line of createInterface({ input: process.stdin })) {
  const [url, ...subprotocols] = line.split(" ");
  const ws = new WebSocket(url, subprotocols, { perMessageDeflate: false });
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  ws.on("error", (error) => console.error(`${url}: ${error.message}`));
}
process.exit(0);
