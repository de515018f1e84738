// The page of a room: shows what comes over the WebSocket, which has the page's own address.

const LOGGED_OUT = 4001;
const $ = (id) => document.getElementById(id);
const seen = new Set(); // ids; after a reconnect the history comes again
let me = "";
let failures = 0;

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function show(message) {
  if (seen.has(message.id)) return;
  seen.add(message.id);
  const at = new Date(message.at * 1000);
  const time = make("time", { dateTime: at.toISOString() }, at.toLocaleTimeString([], { timeStyle: "short" }));
  const by = make("span", { className: "by" }, make("b", {}, message.from), time);
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(make("li", { className: message.from === me ? "mine" : "" }, by, message.text));
  if (atEnd || message.from === me) log.scrollTop = log.scrollHeight;
}

const answers = {
  welcome({ you, history }) {
    me = you;
    failures = 0;
    history.forEach(show);
    $("log").scrollTop = $("log").scrollHeight;
  },
  said: ({ message }) => show(message),
  people: ({ names }) => ($("people").textContent = `Here now: ${names.join(", ")}`),
  error: ({ text }) => ($("error").textContent = text),
};

let socket;

function showState(state) {
  $("status").dataset.state = $("status").textContent = state;
  $("send").disabled = state !== "online";
}

function connect() {
  showState("connecting");
  const opening = (socket = new WebSocket(location.href.replace(/^http/, "ws").split("#")[0]));
  let opened = false;
  opening.onopen = () => {
    opened = true;
    showState("online");
  };
  opening.onmessage = (event) => {
    const message = JSON.parse(event.data);
    answers[message.type]?.(message);
  };
  opening.onclose = async (event) => {
    showState("offline");
    // Refused or logged out: whether this page may still be seen says which.
    if (event.code === LOGGED_OUT || !opened) {
      const page = await fetch(location.href).catch(() => null);
      if (page?.redirected) return (location.href = page.url);
    }
    setTimeout(connect, Math.min(15000, 500 * 2 ** failures++) * (0.75 + Math.random() / 2));
  };
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  $("text").value = $("error").textContent = "";
};

connect();
