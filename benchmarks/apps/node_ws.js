// Node's ws: node node_ws.js PORT, with NODE_PATH where ws is installed.
"use strict";
const http = require("node:http");
const { WebSocket, WebSocketServer } = require("ws");

const server = http.createServer((request, response) => response.end("hello\n"));
const wss = new WebSocketServer({
  server,
  maxPayload: 16 * 2 ** 20,
  perMessageDeflate: process.env.BENCHMARK_DEFLATE === "1" ? { threshold: 0 } : false,
});
const members = new Set();

wss.on("connection", (ws, request) => {
  ws.on("error", () => ws.terminate());
  if (request.url === "/broadcast") {
    members.add(ws);
    ws.on("close", () => members.delete(ws));
    ws.on("message", (data, binary) => {
      for (const member of members) if (member.readyState === WebSocket.OPEN) member.send(data, { binary });
    });
  } else if (request.url === "/json") {
    ws.on("message", (data) => ws.send(JSON.stringify(JSON.parse(data))));
  } else {
    ws.on("message", (data, binary) => ws.send(data, { binary }));
  }
});

server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
