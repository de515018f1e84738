// What people write is only ever put into the page as text (textContent).

const $ = (id) => document.getElementById(id);
const STATES = { connecting: "connecting …", online: "online", waiting: "offline, trying again …" };

let socket;
let failures = 0;

function show(kind, text, name, at) {
  const item = document.createElement("li");
  item.className = kind;
  if (name !== undefined) {
    const who = document.createElement("p");
    who.className = "who";
    const bold = document.createElement("bdi");
    bold.textContent = name;
    const time = document.createElement("time");
    time.textContent = new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    who.append(bold, " ", time);
    item.append(who);
  }
  const body = document.createElement("p");
  body.className = "text";
  body.textContent = text;
  item.append(body);
  $("log").append(item);
  item.scrollIntoView({ block: "end" });
}

function showState(state) {
  $("status").dataset.state = state;
  $("status").textContent = STATES[state];
  $("send").disabled = state !== "online";
}

function connect() {
  showState("connecting");
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/ws`);
  socket.onopen = () => {
    failures = 0;
    showState("online");
  };
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    show(message.type, message.text, message.name, message.at);
  };
  socket.onclose = () => {
    showState("waiting");
    const delay = Math.min(30, 2 ** failures++) * (0.5 + Math.random() / 2);
    setTimeout(connect, delay * 1000);
  };
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  $("text").value = "";
};

connect();
