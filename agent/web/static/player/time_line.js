// The time line: a click plays that second, dragging marks a stretch, arrow keys move. The drawing is the server's.

import { clock } from "./words.js";

const DRAG_PX = 6;
const SVG = "http://www.w3.org/2000/svg";

export class TimeLine {
  // `slider` lies over the drawing `svg`; `left` and `right` are the drawing's x of `start` and `stop`.
  constructor(slider, svg, film, told) {
    this.slider = slider;
    this.svg = svg;
    this.film = film;
    this.told = told;
    this.left = Number(svg.dataset.left);
    this.right = Number(svg.dataset.right);
    this.marked = this.draw("rect", "marked");
    this.cursor = this.draw("line", "cursor");
    this.marked.setAttribute("y", 0);
    this.cursor.setAttribute("y1", 0);
    this.fit();
    slider.setAttribute("aria-valuemin", Math.floor(film.start));
    slider.setAttribute("aria-valuemax", Math.ceil(film.stop));
    slider.addEventListener("pointerdown", (event) => this.press(event));
    slider.addEventListener("pointermove", (event) => this.drag(event));
    slider.addEventListener("pointerup", (event) => this.release(event));
    slider.addEventListener("pointercancel", () => (this.begun = null));
    slider.addEventListener("keydown", (event) => this.key(event));
  }

  // The drawing may be a newer one: its height, and its links, which the slider stands for.
  fit() {
    const height = this.svg.viewBox.baseVal.height;
    this.marked.setAttribute("height", height);
    this.cursor.setAttribute("y2", height);
    for (const link of this.svg.querySelectorAll("a")) link.setAttribute("tabindex", "-1");
  }

  draw(kind, name) {
    const made = document.createElementNS(SVG, kind);
    made.setAttribute("class", name);
    made.setAttribute("visibility", "hidden");
    this.svg.append(made);
    return made;
  }

  x(t) {
    const part = (t - this.film.start) / (this.film.stop - this.film.start);
    return this.left + Math.min(1, Math.max(0, part)) * (this.right - this.left);
  }

  timeAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * this.svg.viewBox.baseVal.width;
    const part = Math.min(1, Math.max(0, (x - this.left) / (this.right - this.left)));
    return this.film.start + part * (this.film.stop - this.film.start);
  }

  press(event) {
    if (event.button !== 0) return;
    this.begun = { x: event.clientX, t: this.timeAt(event.clientX), moved: false };
    if (event.pointerType === "mouse") this.slider.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const t = this.timeAt(event.clientX);
    this.slider.title = this.describe(event, t);
    if (!this.begun || event.pointerType !== "mouse") return;
    if (Math.abs(event.clientX - this.begun.x) > DRAG_PX) this.begun.moved = true;
    if (this.begun.moved) this.told("mark", [Math.min(t, this.begun.t), Math.max(t, this.begun.t)]);
  }

  release(event) {
    const begun = this.begun;
    this.begun = null;
    if (begun && !begun.moved) this.told("seek", this.timeAt(event.clientX));
  }

  // The words of what the pointer is on: a gap's reason, an alert.
  describe(event, t) {
    this.slider.style.pointerEvents = "none";
    const below = document.elementFromPoint(event.clientX, event.clientY);
    this.slider.style.pointerEvents = "";
    const words = below?.querySelector?.("title")?.textContent || "";
    return words && !/^\d\d:\d\d:\d\d$/.test(words) ? `${clock(t)}  ${words}` : clock(t);
  }

  key(event) {
    const steps = { ArrowLeft: -10, ArrowRight: 10, PageDown: -300, PageUp: 300 };
    if (event.key in steps) this.told("move", steps[event.key]);
    else if (event.key === "Home") this.told("seek", this.film.start);
    else if (event.key === "End") this.told("seek", this.film.stop - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  show(t) {
    const x = this.x(t);
    this.cursor.setAttribute("visibility", "visible");
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.reveal(x);
    this.slider.setAttribute("aria-valuenow", Math.floor(t));
    this.slider.setAttribute("aria-valuetext", clock(t));
  }

  // On a narrow screen the line is wider than what is seen of it.
  reveal(x) {
    const frame = this.slider.closest(".chart");
    const wide = this.slider.offsetWidth;
    if (wide <= frame.clientWidth || performance.now() - (this.scrolled ?? 0) < 2000) return;
    const at = (x / this.svg.viewBox.baseVal.width) * wide - frame.scrollLeft;
    if (at > 0.05 * frame.clientWidth && at < 0.9 * frame.clientWidth) return;
    this.scrolled = performance.now();
    frame.scrollLeft += at - frame.clientWidth / 2;
  }

  mark(start, stop) {
    const given = start !== null && stop !== null;
    this.marked.setAttribute("visibility", start === null && stop === null ? "hidden" : "visible");
    const a = this.x(start ?? stop ?? 0);
    this.marked.setAttribute("x", a);
    this.marked.setAttribute("width", Math.max(1.5, given ? this.x(stop) - a : 1.5));
  }
}
