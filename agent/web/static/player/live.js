// Live pictures: on the page of all cameras they and the figures are renewed; enlarged, one camera plays with sound.

import { Source } from "./media_feed.js";
import { clock, fill } from "./words.js";

const PICTURE_MS = 2000;
const FACTS_MS = 5000;
const POLL_MS = 700;
const LAG_S = 8; // further behind than this it goes on near the end
const KEPT_S = 20;

function renewPictures() {
  for (const picture of document.querySelectorAll("img[data-live]")) {
    const fresh = new Image();
    const separator = picture.dataset.live.includes("?") ? "&" : "?";
    fresh.src = `${picture.dataset.live}${separator}t=${Date.now()}`;
    fresh.onload = () => (picture.src = fresh.src);
  }
}

async function renewFacts() {
  const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" }).catch(() => null);
  if (!answer) return;
  if (answer.type === "opaqueredirect") location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const names = (from) => [...from.querySelectorAll("[data-fresh]")].map((e) => e.dataset.fresh).join();
  // a camera came or stopped: the page is another one
  if (names(page) !== names(document)) location.reload();
  for (const fresh of page.querySelectorAll("[data-fresh]")) {
    const old = document.querySelector(`[data-fresh="${fresh.dataset.fresh}"]`);
    if (old && old.innerHTML !== fresh.innerHTML) old.innerHTML = fresh.innerHTML;
  }
}

class LivePlayer {
  constructor(root) {
    this.root = root;
    this.words = JSON.parse(root.dataset.words);
    this.video = root.querySelector("video");
    this.said = root.querySelector('[data-part="said"]');
    this.sound = root.querySelector('[data-part="sound"]');
    this.after = null;
    this.sound.addEventListener("click", () => this.toggleSound());
    this.said.textContent = this.words.live_waiting;
    this.poll();
    setInterval(() => this.watch(), 500);
  }

  toggleSound() {
    this.video.muted = !this.video.muted;
    this.sound.textContent = this.video.muted ? this.words.live_sound : this.words.live_mute;
    this.sound.setAttribute("aria-pressed", String(!this.video.muted));
    this.video.play().catch(() => null);
  }

  async poll() {
    try {
      if (!(await this.load())) return;
    } catch {
      this.said.textContent = this.words.lost;
    }
    setTimeout(() => this.poll(), POLL_MS);
  }

  // False where this browser cannot play the camera's codec.
  async load() {
    const query = this.after === null ? "" : `?segment=${this.segment}&after=${this.after}`;
    const index = await this.fetch(`${this.root.dataset.live}.json${query}`, "json");
    if (!index || !index.fragments.length) {
      if (!this.begun) this.said.textContent = this.words.live_waiting;
      return true;
    }
    if (index.segment !== this.segment) {
      if (!Source?.isTypeSupported(`video/mp4; codecs="${index.codecs}"`)) {
        this.useStills();
        return false;
      }
      if (this.type !== index.codecs) await this.open(index.codecs);
      await this.append(Uint8Array.from(atob(index.initialization), (c) => c.charCodeAt(0)));
      this.buffer.timestampOffset = index.begins;
      this.segment = index.segment;
    }
    const [first, last] = [index.fragments[0], index.fragments[index.fragments.length - 1]];
    const data = await this.fetch(`${this.root.dataset.live}/${index.segment}/${first[0]}-${last[1]}.mp4`, "arrayBuffer");
    if (!data) {
      this.after = this.segment = null;
      return true;
    }
    await this.append(data);
    this.after = last[1];
    await this.evict();
    this.keepUp();
    return true;
  }

  async fetch(path, kind) {
    const answer = await fetch(path, { credentials: "same-origin", redirect: "manual" });
    if (answer.type === "opaqueredirect") location.reload();
    if (answer.status === 404 || answer.status === 503) {
      this.said.textContent = this.words.live_waiting;
      return null;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    return answer[kind]();
  }

  async open(codecs) {
    const source = new Source();
    this.video.disableRemotePlayback = true;
    this.video.src = URL.createObjectURL(source);
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    this.buffer = source.addSourceBuffer(`video/mp4; codecs="${codecs}"`);
    this.type = codecs;
    this.begun = false;
  }

  async append(data) {
    this.buffer.appendBuffer(data);
    await this.settled();
  }

  settled() {
    return new Promise((done) => this.buffer.addEventListener("updateend", done, { once: true }));
  }

  async evict() {
    const before = this.video.currentTime - KEPT_S;
    const ranges = this.video.buffered;
    if (!ranges.length || ranges.start(0) >= before - 5) return;
    this.buffer.remove(ranges.start(0), before);
    await this.settled();
  }

  // Begin, and catch up after a stop or a hole between two files.
  keepUp() {
    const ranges = this.video.buffered;
    if (!ranges.length) return;
    const last = ranges.length - 1;
    const [start, end] = [ranges.start(last), ranges.end(last)];
    const at = this.video.currentTime;
    if (!this.begun || end - at > LAG_S) this.video.currentTime = Math.max(start, end - 2);
    else if (at < start && this.video.readyState < 3) this.video.currentTime = start;
    this.begun = true;
    this.root.classList.add("playing");
    if (this.video.paused) this.video.play().catch(() => null);
  }

  watch() {
    if (!this.begun) return;
    const now = (Date.now() / 1000 + Number(this.root.dataset.zone)) % 86400;
    const behind = (now - (this.video.currentTime % 86400) + 86400) % 86400;
    const seconds = behind > 43200 ? 0 : Math.round(behind);
    this.said.textContent = fill(this.words.live_behind, { at: clock(this.video.currentTime), seconds });
  }

  useStills() {
    this.root.classList.add("stills");
    this.sound.hidden = true;
    this.said.textContent = this.words.live_still;
  }
}

const player = document.getElementById("live");
if (player) player.live = new LivePlayer(player);
setInterval(renewPictures, PICTURE_MS);
setInterval(renewFacts, FACTS_MS);
