// One camera's picture: the video, the time of day over it, and what is to be said about it.

import { MediaFeed } from "./media_feed.js";
import { clock, fill } from "./words.js";

export class Screen {
  constructor(camera, film, made) {
    this.camera = camera;
    this.film = film;
    this.element = made;
    this.video = made.querySelector("video");
    this.time = made.querySelector(".picture-time");
    this.note = made.querySelector(".picture-note");
    this.frame = null; // place of the picture that is shown
    made.querySelector(".picture-name").textContent = camera.name;
    this.video.setAttribute("aria-label", camera.name);
    this.feed = new MediaFeed(this.video, camera.segments, film.segments, (kind, detail) => this.hear(kind, detail));
    this.follow();
  }

  get shown() {
    return !this.element.hidden;
  }

  hear(kind, detail) {
    const words = this.film.words;
    if (kind === "h264") this.element.querySelector(".picture-kind").textContent = words.h264_note;
    if (kind === "fault") this.fault = fill(words.fault, { detail });
    if (kind === "lost") this.fault = words.lost;
    if (kind === "loaded") this.fault = "";
    if (kind === "signed_out") this.fault = words.signed_out;
    if (kind !== "loaded") this.told?.(kind, detail);
  }

  // Keep the clock on the picture that is on the screen.
  follow() {
    this.video.addEventListener("pause", () => this.frame !== null && this.show(this.frame));
    if (!this.video.requestVideoFrameCallback) {
      this.video.addEventListener("timeupdate", () => this.show(this.video.currentTime));
      this.video.addEventListener("seeked", () => this.show(this.video.currentTime));
      return;
    }
    const next = (_, about) => {
      this.show(about.mediaTime);
      this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
  }

  show(t) {
    this.frame = t;
    this.time.textContent = `${this.film.date} ${clock(t, this.video.paused ? 2 : 0)}`;
  }

  // Say whether there is a picture at `t`, and why not.
  explain(t) {
    const words = this.film.words;
    const covered = this.feed.covers(t);
    const newest = !covered && this.isNewest(t);
    this.element.classList.toggle("without", !covered && !newest);
    let text = covered ? this.fault || "" : newest ? words.waiting_here : this.reason(t);
    if (covered && !text && this.video.readyState < 2) text = words.loading;
    if (this.note.textContent !== text) this.note.textContent = text;
    if (!covered) this.time.textContent = `${this.film.date} ${clock((newest && this.frame) || t)}`;
  }

  // Nothing is known of `t` yet: film may still come, so the last picture stays.
  isNewest(t) {
    return this.film.open && !this.gapAt(t) && this.feed.nextStart(t) === Infinity;
  }

  reason(t) {
    const words = this.film.words;
    const gap = this.gapAt(t);
    if (gap) return fill(words.no_video, { start: clock(gap.start), end: clock(gap.stop), reason: gap.reason });
    return this.feed.faults.get(this.feed.segmentAt(t)?.id) || words.no_video_unknown;
  }

  gapAt(t) {
    return this.camera.gaps.find((g) => g.start - 0.5 <= t && t < g.stop);
  }

  async sourceHash() {
    return this.feed.segmentAt(this.frame ?? 0)?.sha256 || "";
  }
}
