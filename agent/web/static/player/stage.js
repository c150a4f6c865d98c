// Plays several cameras in step. The first camera that has film at the position leads; the others follow it within a
// fraction of a second, and all wait for one that is still loading.

const TICK_MS = 100;
const FAR_S = 0.6; // a follower that is further off is sought to its place
const NEAR_S = 0.03;
const READY_S = 0.8;
const PATIENCE_MS = 8000;
const STUCK_MS = 400;

export class Stage {
  // `told(kind, detail)` hears of "moved", "state", "skipped" ({start, end, reason}), "waiting", "resumed", "end".
  // `growing`: more film may come, so the end of what is there is waited at.
  constructor(screens, told) {
    this.screens = screens;
    this.told = told;
    this.position = null;
    this.playing = false;
    this.rate = 1;
    this.growing = false;
    this.waiting = false;
    this.held = true;
    this.timer = setInterval(() => this.tick(), TICK_MS);
    for (const screen of screens) screen.video.addEventListener("seeked", () => this.tick());
  }

  get visible() {
    return this.screens.filter((s) => s.shown);
  }

  covering(t) {
    return this.visible.filter((s) => s.feed.covers(t));
  }

  get leader() {
    return this.covering(this.position)[0];
  }

  // The time of the picture on the screen, as its own line tells it: the browser's position may lie before it.
  get shownTime() {
    const leader = this.leader;
    const frame = leader?.frame ?? this.position;
    const near = Math.max(0.2, 1.1 * (leader?.feed.known(this.position)?.frame ?? 0));
    return Math.abs(frame - this.position) < near ? frame : this.position;
  }

  seek(t) {
    this.resume();
    this.position = t;
    this.held = true;
    this.heldSince = performance.now();
    for (const screen of this.screens) {
      screen.late = false;
      if (!screen.shown || !screen.feed.covers(t)) {
        screen.video.pause();
        screen.feed.stop();
        continue;
      }
      screen.feed.seek(t);
      if (screen.feed.type) screen.video.currentTime = t;
    }
    this.told("moved");
    this.tick();
  }

  play() {
    if (this.position === null) return;
    this.playing = true;
    this.held = true;
    this.heldSince = performance.now();
    if (!this.leader) this.jump();
    this.told("state");
    this.tick();
  }

  pause() {
    this.playing = false;
    this.resume();
    for (const screen of this.screens) screen.video.pause();
    if (this.leader) {
      this.position = this.leader.video.currentTime || this.position;
      for (const screen of this.covering(this.position)) if (screen !== this.leader) this.align(screen, 0.02);
    }
    this.told("moved");
    this.told("state");
  }

  setRate(rate) {
    this.rate = rate;
    for (const screen of this.screens) screen.video.playbackRate = rate;
    this.told("state");
  }

  // One picture further (1) or back (-1).
  step(direction) {
    if (this.position === null) return;
    this.pause();
    const leader = this.leader;
    const frame = leader?.feed.known(this.position)?.frame || 0.04;
    const at = leader?.frame ?? this.position;
    // the middle of the picture that is wanted: edges are not exact
    this.seek(at + (direction > 0 ? 1.5 : -0.5) * frame);
  }

  tick() {
    if (this.position === null) return;
    const leader = this.leader;
    if (this.playing && leader && !leader.video.seeking && leader.feed.type) {
      const at = leader.video.currentTime;
      if (Math.abs(at - this.position) < 5 * Math.max(1, this.rate)) this.position = at;
    }
    if (this.playing) this.run();
    else for (const screen of this.covering(this.position)) screen.feed.move(this.position, 1);
    for (const screen of this.visible) screen.explain(this.position);
    this.told("moved");
  }

  run() {
    const leader = this.leader;
    if (!leader || leader.feed.stopOf(this.position) - this.position < 0.08) {
      this.jump();
      return;
    }
    if (this.waiting) {
      this.seek(this.position);
      return;
    }
    const covering = this.covering(this.position);
    for (const screen of this.visible) {
      if (!covering.includes(screen)) screen.video.pause();
      screen.feed.move(this.position, this.rate);
      if (covering.includes(screen) && !screen.feed.active) screen.feed.seek(this.position);
    }
    this.hold(covering);
    if (this.held) return;
    for (const screen of covering) {
      if (screen !== leader) this.align(screen, FAR_S);
      if (screen.video.paused && !(screen.late && screen.video.readyState < 3)) this.start(screen);
      this.unstick(screen);
    }
  }

  // Wait until all that have film can play on.
  hold(covering) {
    const waits = covering.filter((s) => !s.late && !this.ready(s, this.held ? READY_S * Math.max(1, this.rate) : 0));
    for (const screen of waits) this.unstick(screen);
    if (waits.length && !this.held) this.heldSince = performance.now();
    this.held = waits.length > 0;
    if (!this.held) return;
    for (const screen of covering) screen.video.pause();
    for (const screen of waits) if (screen !== this.leader && screen.feed.type) this.align(screen, FAR_S);
    // one camera that does not come must not keep the others from being watched
    if (performance.now() - this.heldSince > PATIENCE_MS && waits.length < covering.length)
      for (const screen of waits) screen.late = true;
  }

  ready(screen, ahead) {
    if (!screen.feed.type || screen.video.seeking || screen.video.readyState < 3) return false;
    const at = screen.video.currentTime;
    return screen.feed.bufferedAhead(at) >= Math.min(ahead, screen.feed.stopOf(at) - at - 0.1);
  }

  // Play over a hole of a fraction of a second between two files. True where there is one.
  unstick(screen) {
    const video = screen.video;
    if (video.currentTime !== screen.stuckAt) {
      screen.stuckAt = video.currentTime;
      screen.stuckSince = performance.now();
      return false;
    }
    if (performance.now() - screen.stuckSince < STUCK_MS || video.seeking) return false;
    for (let i = 0; i < video.buffered.length; i++) {
      const start = video.buffered.start(i);
      if (start > video.currentTime && start - video.currentTime < 1) {
        video.currentTime = start + 0.01;
        return true;
      }
    }
    return false;
  }

  align(screen, far) {
    const video = screen.video;
    if (video.seeking || !screen.feed.type) return;
    const off = video.currentTime - this.position;
    if (Math.abs(off) > far) {
      if (this.playing && Math.abs(off) < 3) {
        // a seek takes a moment: aim where the leader will be
        video.currentTime = this.position + 0.1 * this.rate;
      } else {
        video.currentTime = this.position;
      }
      screen.feed.move(this.position, this.rate);
      return;
    }
    const wanted = Math.abs(off) < NEAR_S ? this.rate : this.rate * (1 - Math.max(-0.25, Math.min(0.25, off)));
    if (Math.abs(video.playbackRate - wanted) > 0.005) video.playbackRate = wanted;
  }

  start(screen) {
    screen.video.playbackRate = this.rate;
    screen.video.play().catch((error) => {
      // without a gesture of the user a browser plays no sound: nothing to do but wait for one
      if (error.name === "NotAllowedError" && this.playing) this.pause();
    });
  }

  // The position has no film of any camera: go to where the next begins.
  jump() {
    const from = this.position;
    const next = Math.min(...this.visible.map((s) => s.feed.nextStart(from + 0.08)));
    if (next === Infinity) {
      if (this.growing) {
        this.wait();
        return;
      }
      this.pause();
      this.told("end");
      return;
    }
    this.resume();
    if (next - from > 0.5) this.told("skipped", { start: from, end: next, gap: this.visible[0]?.gapAt(from + 0.6) });
    this.seek(next + 0.001);
  }

  // Stand at the end of the newest film until more of it comes.
  wait() {
    if (this.waiting) return;
    for (const screen of this.visible) screen.video.pause();
    const newest = Math.max(...this.visible.map((s) => s.feed.end));
    if (newest > -Infinity) this.position = newest;
    this.waiting = true;
    this.told("waiting");
  }

  resume() {
    if (!this.waiting) return;
    this.waiting = false;
    this.told("resumed");
  }
}
