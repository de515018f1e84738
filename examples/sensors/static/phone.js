// Reads the orientation and motion sensors, and sends what is new, at most thirty times a second.

import { Connection, showState } from "./connection.js";

const $ = (id) => document.getElementById(id);
const INTERVAL = 1000 / 30;

const reading = {};
let sent = 0;

const connection = new Connection(
  "/phone_socket",
  (message) => message.type === "welcome" && ($("name").textContent = message.name),
  (state) => showState($("status"), state),
);

function note(sensor, values, unit) {
  // A browser without the sensor sends one event with nothing in it.
  if (values.some((value) => typeof value !== "number")) return;
  reading[sensor] = values.map((value) => Math.round(value * 100) / 100);
  $(sensor).textContent = reading[sensor].map((value) => value.toFixed(1)).join(" / ") + unit;
}

function sendReading() {
  if (Object.keys(reading).length === 0) return;
  if (connection.send(reading)) $("sent").textContent = ++sent;
  for (const sensor of Object.keys(reading)) delete reading[sensor];
}

async function start() {
  // iOS asks its owner, and only when a finger has touched the page.
  for (const source of [window.DeviceOrientationEvent, window.DeviceMotionEvent]) {
    if (source?.requestPermission && (await source.requestPermission()) !== "granted") {
      $("hint").textContent = "Without your permission there is nothing to send. Reload the page to be asked again.";
      return;
    }
  }
  window.addEventListener("deviceorientation", (event) => note("orientation", [event.alpha, event.beta, event.gamma], "°"));
  window.addEventListener("devicemotion", (event) => {
    const { x, y, z } = event.accelerationIncludingGravity ?? {};
    note("acceleration", [x, y, z], " m/s²");
  });
  setInterval(sendReading, INTERVAL);
  $("start").hidden = true;
  $("values").hidden = false;
  // Phones turn the screen off, and the sensors with it.
  await navigator.wakeLock?.request("screen").catch(() => {});
}

if (!window.isSecureContext) {
  $("hint").textContent = "Browsers give sensors to secure pages only. Open this page with https://.";
  $("start").disabled = true;
}
$("start").onclick = start;
