// The page of a room. What people write is only ever put into the page as text (textContent).

/* global ReplaySocket */ // of /replay.js

const $ = (id) => document.getElementById(id);
const room = document.body.dataset.room;
const GROUP_TIME = 5 * 60; // messages of one person this close together (seconds) stand in one group
const TYPING_SHOWN = 5000; // a typing notice is good for this long (ms) ...
const TYPING_AGAIN = 2500; // ... and renewed this often
const EMPTY_AFTER = 300; // what was said has come by then (ms)

const people = new Map(); // id -> {id, name}, in the order they came
const typing = new Map(); // id -> timer
let me = { id: "", name: "" };
let inPage = 0; // messages in the page
let since = Infinity; // when we came in; what was said before is no news
// Each connection gets a new id; the tab remembers them all, and knows its own messages after a reload.
const mine = new Set(JSON.parse(sessionStorage.getItem("mine") ?? "[]"));

// --- small helpers ---------------------------------------------------------------------------------

/** Make an element: make("p", {className: "x"}, "text", child, ...). Strings become text, never HTML. */
function make(tag, properties = {}, ...children) {
  const { dataset, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

const initials = (name) => {
  const words = name.split(/\s+/).map((word) => [...word]);
  const last = words.length > 1 ? words.at(-1)[0] : (words[0][1] ?? "");
  return (words[0][0] + last).toUpperCase();
};

/** One of ten colours, the same for a name everywhere (FNV-1a). */
const hue = (name) => {
  let hash = 0x811c9dc5;
  for (const character of name.toLowerCase()) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return String(hash % 10);
};

function paintAvatar(element, name) {
  element.textContent = initials(name);
  element.dataset.hue = hue(name);
}

function avatar(name) {
  const element = make("span", { className: "avatar", ariaHidden: "true" });
  paintAvatar(element, name);
  return element;
}

const dots = () => make("span", { className: "dots", title: "is typing" }, make("i"), make("i"), make("i"));

const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), 5000);
}

// --- my name ---------------------------------------------------------------------------------------

// A tab keeps its name over a reload; a name that was chosen is also the first choice of new tabs.
let wantedName = sessionStorage.getItem("name") ?? localStorage.getItem("name") ?? inventName();
sessionStorage.setItem("name", wantedName);

function inventName() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  const colour = pick(["Amber", "Coral", "Hazel", "Indigo", "Jade", "Olive", "Ruby", "Silver"]);
  return `${colour} ${pick(["Badger", "Finch", "Heron", "Lynx", "Marten", "Otter", "Robin", "Wren"])}`;
}

$("me").onclick = () => {
  $("rooms").matches(":popover-open") && $("rooms").hidePopover();
  $("name").value = me.name || wantedName;
  $("rename").showModal();
  $("name").select();
};
$("rename-cancel").onclick = () => $("rename").close();
$("rename").querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  $("rename").close();
  $("text").focus();
  wantedName = $("name").value.trim();
  localStorage.setItem("name", wantedName);
  sessionStorage.setItem("name", wantedName);
  send({ type: "name", name: wantedName }); // offline: the next connection brings it along
};

function showMe(person) {
  me = person;
  mine.add(me.id);
  sessionStorage.setItem("mine", JSON.stringify([...mine].slice(-20)));
  $("my-name").textContent = me.name;
  paintAvatar($("my-avatar"), me.name);
}

// --- who is here -----------------------------------------------------------------------------------

function showPeople() {
  const everybody = [...people.values()].sort((a, b) => (b.id === me.id) - (a.id === me.id) || a.name.localeCompare(b.name));
  $("people-list").replaceChildren(
    ...everybody.map((person) => {
      const name = make("bdi", { className: "label", title: person.name }, person.name);
      const item = make("li", { dataset: { id: person.id } }, avatar(person.name), name);
      if (person.id === me.id) item.append(make("small", {}, "you"));
      else if (typing.has(person.id)) item.append(dots());
      return item;
    }),
  );
  $("stack").replaceChildren(...everybody.slice(0, 4).map((person) => avatar(person.name)));
  for (const count of document.querySelectorAll("[data-count]")) count.textContent = everybody.length;
}

function setTyping(id, on) {
  clearTimeout(typing.get(id));
  typing.delete(id);
  if (on && people.has(id)) typing.set(id, setTimeout(() => setTyping(id, false), TYPING_SHOWN));
  showTyping();
}

function showTyping() {
  const names = [...typing.keys()].map((id) => people.get(id)?.name).filter(Boolean);
  let text = "";
  if (names.length === 1) text = `${names[0]} is typing`;
  else if (names.length === 2) text = `${names[0]} and ${names[1]} are typing`;
  else if (names.length > 2) text = `${names.length} people are typing`;
  $("typing-text").textContent = text;
  $("typing").classList.toggle("on", names.length > 0);
  showPeople();
}

// --- the conversation ------------------------------------------------------------------------------

let lastDay = "";
let lastGroup = null; // {element, from, at} of the group that the next message may join

const atBottom = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight < 80;

function scrollDown() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  $("jump").hidden = true;
}

/** Change the log, and stay at its end if we were there; else offer to go there. */
function changeLog(change, { jump = false } = {}) {
  const stay = jump || atBottom();
  change();
  if (inPage) $("empty").hidden = true;
  if (stay) scrollDown();
  else $("jump").hidden = false;
}

/** The text with its web addresses as links. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?')\]])/).map((part, index) =>
    index % 2 ? make("a", { href: part, target: "_blank", rel: "noopener noreferrer nofollow" }, part) : part,
  );
}

function addMessage(message) {
  inPage += 1;
  const date = new Date(message.at * 1000);
  const { id, name } = message.from;
  const own = mine.has(id);
  const day = dayName(date);
  if (day !== lastDay) {
    $("log").append(make("li", { className: "day" }, make("span", {}, day)));
    [lastDay, lastGroup] = [day, null];
  }
  const key = own ? "me" : id + name;
  if (lastGroup?.key !== key || message.at - lastGroup.at > GROUP_TIME) {
    const element = make("div", { className: "texts" });
    const who = make("p", { className: "who", dataset: { hue: hue(name) } }, make("bdi", {}, own ? "You" : name), " ");
    who.append(make("time", { dateTime: date.toISOString(), title: date.toLocaleString() }, clock(date)));
    element.append(who);
    const group = make("li", { className: own ? "group own" : "group" }, element);
    if (!own) group.prepend(avatar(name));
    $("log").append(group);
    lastGroup = { element, key, at: message.at };
  }
  const big = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u.test(message.text) && /\p{Extended_Pictographic}/u.test(message.text);
  const text = make("p", { className: big ? "text big" : "text", dir: "auto", title: clock(date) }, ...linked(message.text));
  lastGroup.element.append(text);
  lastGroup.at = message.at;
}

function addNotice(...parts) {
  changeLog(() => $("log").append(make("li", { className: "notice" }, make("span", {}, ...parts))));
  lastGroup = null;
}

const bold = (name) => make("bdi", {}, name);

// --- unread messages -------------------------------------------------------------------------------

const title = document.title;
let unread = 0;

function setUnread(count) {
  unread = count;
  document.title = unread ? `● (${unread}) ${title}` : title;
}
const looking = () => !document.hidden && document.hasFocus();
addEventListener("focus", () => setUnread(0));
document.addEventListener("visibilitychange", () => looking() && setUnread(0));

// --- what the server says --------------------------------------------------------------------------

const answers = {
  welcome({ you, people: present, at }) {
    since = Math.min(since, at);
    showMe(you);
    people.clear();
    for (const person of present) people.set(person.id, person);
    for (const id of [...typing.keys()]) setTyping(id, false);
    showPeople();
    // What was said follows: all that is kept, or after a reconnect what this page has missed.
    setTimeout(() => ($("empty").hidden = inPage > 0), EMPTY_AFTER);
  },
  joined({ person }) {
    people.set(person.id, person);
    showPeople();
    addNotice(bold(person.name), " came in");
  },
  left({ id }) {
    const person = people.get(id);
    people.delete(id);
    setTyping(id, false);
    if (person) addNotice(bold(person.name), " left");
  },
  renamed({ person }) {
    const before = people.get(person.id)?.name;
    people.set(person.id, person);
    if (person.id === me.id) showMe(person);
    showTyping();
    if (before && before !== person.name) addNotice(bold(before), " is now ", bold(person.name));
  },
  typing({ id, on }) {
    setTyping(id, on);
  },
  said(message) {
    const own = message.from.id === me.id;
    setTyping(message.from.id, false);
    changeLog(() => addMessage(message), { jump: own });
    if (!own && !looking() && message.at >= since) setUnread(unread + 1);
  },
  error({ text }) {
    toast(text);
  },
};

let hasBeenOnline = false;
let countdown = 0;

function onState(state, seconds) {
  clearInterval(countdown);
  let left = Math.ceil(seconds);
  showState(state === "open" ? "online" : state, left);
  if (state === "waiting") countdown = setInterval(() => showState(state, (left = Math.max(left - 1, 1))), 1000);
}

function showState(state, seconds) {
  const texts = {
    connecting: hasBeenOnline ? "reconnecting …" : "connecting …",
    online: "online",
    waiting: `${hasBeenOnline ? "reconnecting" : "trying again"} in ${seconds} s`,
    closed: "disconnected",
  };
  const before = $("status").dataset.state;
  $("status").dataset.state = state;
  $("status-text").textContent = texts[state];
  $("retry").hidden = state !== "waiting" && state !== "closed";
  $("send").disabled = state !== "online";
  hasBeenOnline ||= state === "online";
  // The countdown is for the eyes; a screen reader hears only that something changed.
  if (state !== before) $("announce").textContent = state === "waiting" ? "Connection lost, reconnecting" : texts[state];
}

function address() {
  const url = new URL(location.pathname, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("name", wantedName);
  return url.href;
}

const socket = new ReplaySocket(address, {
  onmessage({ data }) {
    const message = JSON.parse(data);
    answers[message.type]?.(message);
  },
  onstate: onState,
  maximum: 15, // seconds between two attempts
});
$("retry").onclick = () => (socket.state === "closed" ? location.reload() : socket.retry());

/** Send now, or return false: what is said late is not what was meant. */
const send = (message) => socket.state === "open" && socket.send(JSON.stringify(message));

// --- writing ---------------------------------------------------------------------------------------

let typingSent = 0; // when we last said that we are typing; 0: we are not

function tellTyping(on) {
  const now = performance.now();
  if (on ? now - typingSent < TYPING_AGAIN && typingSent : !typingSent) return;
  typingSent = on ? now : 0;
  send({ type: "typing", on });
}

function fitText() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

$("text").oninput = () => {
  fitText();
  tellTyping($("text").value.trim() !== "");
};
$("text").onblur = () => tellTyping(false);
$("text").onkeydown = (event) => {
  // isComposing: the Enter that ends a word in an input method for Chinese or Japanese
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
};
$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  if (!send({ type: "say", text })) return toast("Not connected. Your message stays here until we are.");
  typingSent = 0; // the message itself ends it
  $("text").value = "";
  fitText();
  $("text").focus();
};

// Whoever begins to write is writing a message.
addEventListener("keydown", (event) => {
  const busy = event.target.closest?.("input, textarea, button, a, dialog") || $("rename").open;
  if (event.key === "/" && !busy) {
    event.preventDefault();
    $("text").focus();
  }
});

$("jump").onclick = scrollDown;
$("scroller").onscroll = () => atBottom() && ($("jump").hidden = true);
new ResizeObserver(() => $("jump").hidden && scrollDown()).observe($("scroller"));

// --- rooms, link, theme ----------------------------------------------------------------------------

const shown = [...$("room-list").querySelectorAll(".label")].map((label) => label.textContent);
const visited = JSON.parse(localStorage.getItem("rooms") ?? "[]").filter((name) => name !== room);
localStorage.setItem("rooms", JSON.stringify([room, ...visited].slice(0, 8)));
for (const name of visited.filter((other) => !shown.includes(other))) {
  const hash = make("span", { className: "hash", ariaHidden: "true" }, "#");
  const link = make("a", { href: encodeURIComponent(name) }, hash, make("span", { className: "label" }, name));
  $("room-list").append(make("li", {}, link));
}
$("new-room").onsubmit = (event) => {
  event.preventDefault();
  const name = $("new-room-name").value.trim().toLowerCase().replace(/[\s/\\?#%.]+/g, "-").replace(/^-+|-+$/g, "");
  if (name) location.href = new URL(encodeURIComponent(name), location.href).href;
};

$("share").onclick = async () => {
  const link = location.origin + location.pathname;
  try {
    await navigator.clipboard.writeText(link);
    toast("The link to this room is copied.");
  } catch {
    toast(link); // no clipboard without https: show it
  }
};

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (systemIsDark.matches ? "dark" : "light")) === "dark";
const showTheme = () => $("theme").setAttribute("aria-pressed", isDark());
$("theme").onclick = () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  showTheme();
};
systemIsDark.onchange = showTheme;
showTheme();

// A drawer that was open while the window grew is a column now.
for (const [id, width] of [["rooms", 760], ["people", 1040]]) {
  matchMedia(`(min-width: ${width}px)`).onchange = () => $(id).matches(":popover-open") && $(id).hidePopover();
}
