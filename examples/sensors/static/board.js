// Draws what the phones send. Messages only note what is new; the screen is drawn once a frame.

import { Connection, showState } from "./connection.js";

const $ = (id) => document.getElementById(id);
const HISTORY = 160; // readings of the acceleration in the picture
const SCALE = 20; // m/s² from the middle to the edge

const cards = new Map(); // id -> Card

class Card {
  constructor({ id, name }) {
    this.element = $("card").content.firstElementChild.cloneNode(true);
    this.element.dataset.id = id;
    this.element.querySelector("h2").textContent = name;
    this.device = this.element.querySelector(".device");
    this.axes = this.element.querySelectorAll("[data-axis]");
    this.rate = this.element.querySelector("[data-rate]");
    this.canvas = this.element.querySelector("canvas");
    this.colours = ["x", "y", "z"].map((axis) => this.element.querySelector(`.${axis}`));
    this.accelerations = [];
    this.times = [];
    $("phones").append(this.element);
  }

  take({ orientation, acceleration }) {
    const now = performance.now();
    this.times = this.times.filter((time) => now - time < 1000).concat(now);
    if (orientation) this.orientation = orientation;
    if (acceleration) this.accelerations = this.accelerations.concat([acceleration]).slice(-HISTORY);
    this.fresh = true;
  }

  draw() {
    if (!this.fresh) return;
    this.fresh = false;
    this.rate.textContent = this.times.length;
    if (this.orientation) {
      const [alpha, beta, gamma] = this.orientation;
      this.orientation.forEach((value, axis) => (this.axes[axis].textContent = `${value.toFixed(1)}°`));
      // The device turns by alpha, then beta, then gamma (intrinsic Z-X'-Y''); CSS has its y axis downwards.
      this.device.style.transform = `rotateX(55deg) rotateZ(${-alpha}deg) rotateX(${-beta}deg) rotateY(${gamma}deg)`;
    }
    this.drawAcceleration();
  }

  drawAcceleration() {
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    for (const axis of [0, 1, 2]) {
      pen.strokeStyle = getComputedStyle(this.colours[axis]).color;
      pen.beginPath();
      this.accelerations.forEach((values, index) => {
        const x = (index / (HISTORY - 1)) * width;
        const y = height / 2 - (Math.max(-SCALE, Math.min(SCALE, values[axis])) / SCALE) * (height / 2 - 2);
        index ? pen.lineTo(x, y) : pen.moveTo(x, y);
      });
      pen.stroke();
    }
  }
}

function add(phone) {
  if (!cards.has(phone.id)) cards.set(phone.id, new Card(phone));
  showEmpty();
}

function remove(id) {
  cards.get(id)?.element.remove();
  cards.delete(id);
  showEmpty();
}

const showEmpty = () => ($("empty").hidden = cards.size > 0);

new Connection(
  "/board_socket",
  (message) => {
    switch (message.type) {
      case "welcome":
        [...cards.keys()].forEach(remove);
        message.phones.forEach(add);
        break;
      case "joined":
        add(message.phone);
        break;
      case "left":
        remove(message.id);
        break;
      case "reading":
        cards.get(message.id)?.take(message);
    }
  },
  (state) => showState($("status"), state),
);

$("address").textContent = new URL("/phone", location).href;
requestAnimationFrame(function frame() {
  for (const card of cards.values()) card.draw();
  requestAnimationFrame(frame);
});
