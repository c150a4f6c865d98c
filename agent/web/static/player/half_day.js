// The player on the page of a half-day: controls, keys, marks, and the page's own forms.

import { SignedOut, keepNewest } from "./fresh.js";
import { Source } from "./media_feed.js";
import { Screen } from "./screen.js";
import * as snapshot from "./snapshot.js";
import { Stage } from "./stage.js";
import { TimeLine } from "./time_line.js";
import { clock, fill, place } from "./words.js";

const SPEEDS = [0.5, 1, 2, 4, 8];
const MOST_SHOWN = 4;

class HalfDayPlayer {
  constructor(root, film) {
    this.root = root;
    this.film = film;
    this.marks = [null, null];
    this.screens = film.cameras.map((camera) => this.makeScreen(camera));
    this.stage = new Stage(this.screens, (kind, detail) => this.hear(kind, detail));
    this.stage.growing = film.open;
    this.line = new TimeLine(this.find("slider"), root.querySelector("svg.strip"), film, (kind, detail) => this.point(kind, detail));
    this.fillChoices();
    this.wire();
    this.choose(this.find("shown").value);
    this.begin();
  }

  find(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  makeScreen(camera) {
    const made = this.find("screen").content.firstElementChild.cloneNode(true);
    this.find("screens").append(made);
    const screen = new Screen(camera, this.film, made);
    screen.told = (kind) => {
      if (kind === "h264") this.say(this.film.words.busy_h264);
      if (kind === "signed_out") this.say(this.film.words.signed_out);
    };
    return screen;
  }

  // Rooms with several cameras, side by side, then each camera alone.
  fillChoices() {
    const rooms = Map.groupBy
      ? Map.groupBy(this.film.cameras, (c) => c.room)
      : this.film.cameras.reduce((all, c) => all.set(c.room, [...(all.get(c.room) || []), c]), new Map());
    const choice = this.find("shown");
    for (const [room, cameras] of rooms) {
      if (cameras.length < 2) continue;
      const ids = cameras.slice(0, MOST_SHOWN).map((c) => c.id);
      choice.append(new Option(`${room} ${ids.join(" + ")}`.trim(), ids.join(",")));
    }
    for (const camera of this.film.cameras) {
      choice.append(new Option(camera.name, camera.id));
      this.find("sound").append(new Option(camera.name, camera.id));
    }
    const asked = this.root.dataset.camera;
    const group = [...choice.options].find((o) => o.value.includes(",") && (!asked || o.value.split(",").includes(asked)));
    if (group) choice.value = group.value;
    else if (asked) choice.value = asked;
    this.find("sound").value = asked || choice.value.split(",")[0];
  }

  wire() {
    const on = (name, act) => this.find(name).addEventListener("click", act);
    on("play", () => this.toggle());
    on("back", () => this.move(-10));
    on("ahead", () => this.move(10));
    on("frame-back", () => this.step(-1));
    on("frame-ahead", () => this.step(1));
    on("snapshot", () => this.snap());
    on("full", () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen?.()));
    on("mark-from", () => this.mark(this.position(), this.marks[1]));
    on("mark-to", () => this.mark(this.marks[0], this.position()));
    on("cut", () => this.toForm("#why"));
    on("form11", () => {
      this.fillField("#moment", this.position());
      this.toForm("#moment");
    });
    this.find("speed").addEventListener("change", (event) => this.stage.setRate(Number(event.target.value)));
    this.find("shown").addEventListener("change", (event) => this.choose(event.target.value));
    this.find("sound").addEventListener("change", () => this.chooseSound());
    this.root.addEventListener("keydown", (event) => this.key(event));
    const form = this.root.querySelector("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.askCamera(form.camera.value);
      this.seek(place(form.at.value, this.film.start, this.film.stop), true);
    });
    if (this.film.open) keepNewest(this, () => load(this.root.dataset.film));
  }

  begin() {
    const at = place(this.root.dataset.at || "", this.film.start, this.film.stop);
    if (at !== null) this.seek(at, true);
    this.mark(null, null);
  }

  position() {
    return this.stage.position ?? place(this.root.querySelector("form").at.value, this.film.start, this.film.stop);
  }

  seek(t, play = false) {
    if (t === null) return;
    this.say("");
    this.stage.seek(Math.min(Math.max(t, this.film.start), this.film.stop));
    if (play || this.stage.playing) this.stage.play();
  }

  move(seconds) {
    this.seek(this.position() + seconds);
  }

  step(direction) {
    if (this.stage.position === null) this.seek(this.position());
    else this.stage.step(direction);
  }

  toggle() {
    if (this.stage.playing) this.stage.pause();
    else if (this.stage.position === null) this.seek(this.position(), true);
    else this.stage.play();
  }

  speed(step) {
    const next = SPEEDS[SPEEDS.indexOf(this.stage.rate) + step];
    if (!next) return;
    this.find("speed").value = String(next);
    this.stage.setRate(next);
  }

  askCamera(id) {
    const choice = this.find("shown");
    if (choice.value.split(",").includes(id)) return;
    choice.value = id;
    this.choose(id);
  }

  choose(value) {
    const ids = value.split(",");
    for (const screen of this.screens) {
      screen.element.hidden = !ids.includes(screen.camera.id);
      if (screen.element.hidden) {
        screen.video.pause();
        screen.feed.stop();
      }
    }
    this.find("screens").dataset.count = ids.length;
    if (ids.length === 1) {
      this.find("sound").value = this.find("sound").value && ids[0];
      this.fillCamera(ids[0]);
    }
    this.chooseSound();
    if (this.stage.position !== null) this.seek(this.stage.position);
  }

  chooseSound() {
    for (const screen of this.screens) screen.video.muted = screen.camera.id !== this.find("sound").value;
  }

  hear(kind, detail) {
    if (kind === "moved") {
      this.line.show(this.stage.position);
      this.find("clock").textContent = clock(this.stage.shownTime);
    }
    if (kind === "state") {
      const button = this.find("play");
      const text = this.stage.playing ? this.film.words.pause : this.film.words.play;
      button.querySelector("span").textContent = text;
      button.classList.toggle("playing", this.stage.playing);
    }
    if (kind === "skipped") {
      const reason = detail.gap?.reason ?? this.film.words.no_video_unknown;
      this.say(fill(this.film.words.skipped, { start: clock(detail.start), end: clock(detail.end), reason }));
    }
    if (kind === "waiting") this.say(this.film.words.waiting);
    if (kind === "resumed") this.say("");
    if (kind === "end") this.say(this.film.words.at_end);
  }

  point(kind, detail) {
    if (kind === "seek") this.seek(detail, true);
    if (kind === "move") this.move(detail);
    if (kind === "mark") this.mark(...detail);
  }

  mark(from, to) {
    if (from !== null && to !== null && to <= from) [from, to] = from === this.marks[0] ? [null, to] : [from, null];
    this.marks = [from, to];
    this.line.mark(from, to);
    this.fillField("#from", from);
    this.fillField("#to", to);
    const given = from !== null || to !== null;
    const show = (t) => (t === null ? "…" : clock(t));
    this.find("marked").textContent = given
      ? fill(this.film.words.marked, { start: show(from), end: show(to) })
      : this.film.words.nothing_marked;
    this.find("cut").disabled = from === null || to === null;
  }

  fillField(name, t) {
    const field = document.querySelector(name);
    if (field && t !== null) field.value = clock(t);
  }

  fillCamera(id) {
    const field = document.querySelector("#cut-camera");
    if (field) field.value = id;
  }

  toForm(name) {
    const field = document.querySelector(name);
    field?.scrollIntoView({ block: "center" });
    field?.focus({ preventScroll: true });
  }

  async snap() {
    this.stage.pause();
    const name = await snapshot.save(this.stage.visible, this.film, this.film.box);
    if (name) this.say(name);
  }

  say(text) {
    this.find("said").textContent = text;
  }

  key(event) {
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.tagName === "BUTTON") return;
    const acts = {
      " ": () => this.toggle(),
      k: () => this.toggle(),
      ArrowLeft: () => this.move(-10),
      ArrowRight: () => this.move(10),
      ",": () => this.step(-1),
      ".": () => this.step(1),
      "-": () => this.speed(-1),
      "+": () => this.speed(1),
      "=": () => this.speed(1),
      i: () => this.mark(this.position(), this.marks[1]),
      o: () => this.mark(this.marks[0], this.position()),
      s: () => this.snap(),
      f: () => this.find("full").click(),
      m: () => this.mute(),
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  mute() {
    const sound = this.find("sound");
    const shown = this.find("shown").value.split(",")[0];
    sound.value = sound.value ? "" : shown;
    this.chooseSound();
  }
}

async function load(address) {
  const answer = await fetch(address, { credentials: "same-origin", redirect: "manual" });
  if (answer.type === "opaqueredirect") throw new SignedOut();
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

// Without Media Source the page's plain player serves: what stands in `noscript` becomes part of the page.
function usePlainPlayer() {
  for (const hidden of document.querySelectorAll("noscript")) {
    const made = new DOMParser().parseFromString(hidden.textContent, "text/html");
    hidden.replaceWith(...made.body.childNodes);
  }
}

async function start() {
  const root = document.getElementById("player");
  if (!root) return;
  if (!Source) {
    usePlainPlayer();
    return;
  }
  const film = await load(root.dataset.film);
  if (!film.cameras.length) return;
  root.classList.add("ready");
  for (const part of root.querySelectorAll("[data-scripted]")) part.hidden = false;
  root.player = new HalfDayPlayer(root, film);
}

start();
