// Clients of `ws` and of Node itself, told by lines of JSON on stdin what to do; tells what happens on stdout.
// A line with a `length` is followed by so many bytes, the payload. The other end is ../foreign/node_clients.py.

import { WebSocket as Ws } from "ws";

// Node's own is undici's, and in undici's package for those who have an older Node.
const Builtin = globalThis.WebSocket ?? (await import("undici")).WebSocket;

const MAX_SIZE = 17 * 2 ** 20;
const sockets = new Map();

function tell(what, payload) {
  const body = payload === undefined ? undefined : Buffer.from(payload);
  process.stdout.write(`${JSON.stringify({ ...what, length: body?.length })}\n`);
  if (body?.length) process.stdout.write(body);
}

const opens = {
  ws(id, { url, subprotocols, compression }) {
    const socket = new Ws(url, subprotocols, { perMessageDeflate: compression, maxPayload: MAX_SIZE });
    socket.on("message", (data, isBinary) => tell({ id, event: "message", binary: isBinary }, data));
    socket.on("pong", (data) => tell({ id, event: "pong" }, data));
    return socket;
  },
  builtin(id, { url, subprotocols }) {
    const socket = new Builtin(url, subprotocols);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      tell({ id, event: "message", binary: typeof data !== "string" }, data);
    });
    return socket;
  },
};

const commands = {
  open(id, what) {
    const socket = opens[what.impl](id, what);
    sockets.set(id, socket);
    socket.addEventListener("open", () => {
      tell({ id, event: "open", protocol: socket.protocol, extensions: socket.extensions });
    });
    socket.addEventListener("error", (error) => tell({ id, event: "error", message: String(error.message) }));
    socket.addEventListener("close", ({ code, reason }) => {
      tell({ id, event: "close", code, reason });
      sockets.delete(id);
    });
  },
  send(id, { binary }, body) {
    sockets.get(id).send(binary ? body : body.toString());
  },
  fragment(id, { binary, fin }, body) {
    sockets.get(id).send(body, { binary, fin });
  },
  ping(id, what, body) {
    sockets.get(id).ping(body);
  },
  close(id, { code, reason }) {
    if (code === null) sockets.get(id)?.close();
    else sockets.get(id)?.close(code, reason);
  },
};

// --- what comes in: chunks, until a line, and the payload behind it, are complete ---------------------------

let chunks = [];
let size = 0;
let wanted = 1;

function take() {
  const data = Buffer.concat(chunks);
  let start = 0;
  for (;;) {
    const end = data.indexOf(10, start);
    if (end < 0) {
      wanted = data.length - start + 1;
      break;
    }
    const what = JSON.parse(data.toString("utf8", start, end));
    const next = end + 1 + (what.length ?? 0);
    if (next > data.length) {
      wanted = next - start;
      break;
    }
    commands[what.command](what.id, what, data.subarray(end + 1, next));
    start = next;
  }
  chunks = [data.subarray(start)];
  size = data.length - start;
}

process.stdin.on("data", (chunk) => {
  chunks.push(chunk);
  size += chunk.length;
  if (size >= wanted) take();
});
process.stdin.on("end", () => process.exit());
tell({ event: "ready", version: process.version });
