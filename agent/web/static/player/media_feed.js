// Feeds one video element with the recorded files of one camera by Media Source Extensions.
//
// Media time is the place on the time line, so gaps stay gaps. Files are fetched in parts of a few seconds around the
// position; what lies far from it is removed. Knows nothing of the page that it is in.

const AHEAD_S = 8;
const BEHIND_S = 30;
const FAR_S = 90;
const JOIN_S = 0.5;
const RETRY_MS = 2000;
const DAY_S = 86_400;

export const Source = self.ManagedMediaSource || self.MediaSource;

export class FeedError extends Error {}

export class MediaFeed {
  // `segments`: {id, start, stop, attached}, in order; `base`: where their indexes lie; `told(kind, detail)` hears of
  // "h264" (pictures are converted), "fault" (a file cannot be read), "lost", "signed_out", "loaded".
  constructor(video, segments, base, told) {
    this.video = video;
    this.segments = segments;
    this.base = base;
    this.told = told;
    this.position = 0;
    this.rate = 1;
    this.h264 = false;
    this.indexes = new Map();
    this.faults = new Map();
    this.appended = new Map();
    this.active = false;
    this.busy = false;
    this.cursor = null;
    this.abort = new AbortController();
  }

  // The file that shows `t`; holes of less than JOIN_S between two files count to the earlier one.
  segmentAt(t) {
    return this.segments.find(
      (s, i) =>
        s.start <= t && (t < s.stop || (this.segments[i + 1]?.start - s.stop < JOIN_S && t < this.segments[i + 1].start)),
    );
  }

  covers(t) {
    const found = this.segmentAt(t);
    return Boolean(found) && found.attached && !this.faults.has(found.id);
  }

  // Where film begins at or after `t`, or Infinity.
  nextStart(t) {
    if (this.covers(t)) return t;
    return this.segments.find((s) => s.start >= t && s.attached && !this.faults.has(s.id))?.start ?? Infinity;
  }

  // Where the film that shows `t` ends.
  stopOf(t) {
    let at = this.segmentAt(t);
    while (at) {
      const next = this.segments.find((s) => s.start >= at.stop - JOIN_S && s.start - at.stop < JOIN_S && s.start > at.start);
      if (!next) return at.stop;
      at = next;
    }
    return t;
  }

  // Where the newest film ends, or -Infinity.
  get end() {
    return Math.max(...this.segments.filter((s) => this.usable(s)).map((s) => s.stop));
  }

  bufferedAhead(t) {
    const ranges = this.video.buffered;
    for (let i = 0; i < ranges.length; i++) if (ranges.start(i) <= t + 0.02 && t < ranges.end(i)) return ranges.end(i) - t;
    return 0;
  }

  update(segments) {
    this.segments = segments;
  }

  seek(t) {
    this.position = t;
    this.active = true;
    this.cursor = null;
    this.abort.abort();
    this.abort = new AbortController();
    this.pump();
  }

  // Follow the position of play.
  move(t, rate) {
    this.position = t;
    this.rate = rate;
    if (this.active) this.pump();
  }

  stop() {
    this.active = false;
    this.abort.abort();
    this.abort = new AbortController();
  }

  async pump() {
    if (this.busy || this.waiting) return;
    this.busy = true;
    try {
      while (this.active && (await this.loadNext()));
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
  }

  failed(error) {
    if (error.name === "AbortError") {
      setTimeout(() => this.active && this.pump());
      return;
    }
    if (error.message === "signed_out") {
      this.active = false;
      this.told("signed_out");
      return;
    }
    if (error instanceof FeedError) {
      this.faults.set(error.segment, error.message);
      this.cursor = null;
      this.told("fault", error.message);
    } else {
      this.told("lost", String(error));
    }
    this.waiting = true;
    setTimeout(() => {
      this.waiting = false;
      if (this.active) this.pump();
    }, RETRY_MS);
  }

  // Load one part; false where enough is there.
  async loadNext() {
    const limit = this.position + AHEAD_S + 4 * this.rate;
    if (!this.cursor) this.cursor = { segment: this.firstWanted(), part: -1 };
    const segment = this.cursor.segment;
    if (!segment || segment.start > limit) return this.rest();
    const index = await this.index(segment);
    if (!this.cursor) return true; // sought elsewhere meanwhile
    if (this.cursor.part < 0) this.cursor.part = findPart(index.parts, this.position);
    if (this.cursor.part >= index.parts.length) {
      this.cursor = { segment: this.segments.find((s) => s.start > segment.start && this.usable(s)), part: 0 };
      return Boolean(this.cursor.segment) || this.rest();
    }
    const number = this.cursor.part;
    const [start, stop, key] = index.parts[number];
    if (start > limit) return false;
    const name = `${segment.id}:${number}`;
    if (!this.appended.has(name)) {
      if (!(await this.prepare(index, start))) return false;
      if (!key && this.last !== `${segment.id}:${number - 1}`) return this.rewind(segment, index, number);
      const data = await this.fetch(`${segment.id}/${number}.mp4`, segment, "arrayBuffer");
      if (!this.cursor) return true;
      await this.append(data);
      this.appended.set(name, { start, stop });
      this.last = name;
      this.told("loaded");
    }
    if (this.cursor) this.cursor.part = number + 1;
    return true;
  }

  rest() {
    this.cursor = null;
    return false;
  }

  usable(segment) {
    return segment.attached && !this.faults.has(segment.id);
  }

  firstWanted() {
    const at = this.segmentAt(this.position);
    return at && this.usable(at) ? at : this.segments.find((s) => s.start >= this.position && this.usable(s));
  }

  // Decoding cannot begin with this part: begin again at the key frame before it.
  rewind(segment, index, number) {
    let first = number;
    while (first > 0 && !index.parts[first][2]) first--;
    for (let i = first; i < number; i++) this.appended.delete(`${segment.id}:${i}`);
    this.cursor.part = first;
    this.last = "";
    if (this.buffer && !this.buffer.updating) this.buffer.abort();
    return true;
  }

  async index(segment) {
    const name = `${segment.id}:${this.h264}`;
    if (!this.indexes.has(name)) {
      const found = await this.fetch(`${segment.id}.json`, segment, "json");
      if (!Source.isTypeSupported(`video/mp4; codecs="${found.codecs}"`)) {
        if (this.h264) throw Object.assign(new FeedError(found.codecs), { segment: segment.id });
        this.h264 = true;
        this.told("h264");
        return this.index(segment);
      }
      this.indexes.set(name, found);
    }
    return this.indexes.get(name);
  }

  known(t) {
    const segment = this.segmentAt(t);
    return segment && this.indexes.get(`${segment.id}:${this.h264}`);
  }

  async fetch(path, segment, kind) {
    const answer = await fetch(this.base + path + (this.h264 ? "?h264=1" : ""), {
      signal: this.abort.signal,
      credentials: "same-origin",
      redirect: "manual",
    });
    if (answer.type === "opaqueredirect" || answer.status === 403) throw new Error("signed_out");
    if (!answer.ok) {
      const text = await answer.json().then((x) => x.fault, () => String(answer.status));
      throw Object.assign(new FeedError(text), { segment: segment.id });
    }
    return answer[kind]();
  }

  // Make the buffer fit for a file. False while a file of another format is still far ahead.
  async prepare(index, start) {
    if (this.type !== index.codecs) {
      if (this.type && start > this.position + 0.25) return false;
      await this.open(index.codecs, Math.max(start, this.position));
    }
    await this.evict();
    if (this.initialization !== index.initialization) {
      await this.append(Uint8Array.from(atob(index.initialization), (c) => c.charCodeAt(0)));
      this.initialization = index.initialization;
    }
    return true;
  }

  async open(codecs, at) {
    const source = new Source();
    const address = URL.createObjectURL(source);
    this.video.disableRemotePlayback = true;
    this.video.src = address;
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    URL.revokeObjectURL(address);
    this.source = source;
    this.buffer = source.addSourceBuffer(`video/mp4; codecs="${codecs}"`);
    // a browser goes no further than this, and a half-day under way grows
    source.duration = this.segments[this.segments.length - 1].stop + DAY_S;
    this.appended.clear();
    this.type = codecs;
    this.initialization = this.last = "";
    this.video.currentTime = at;
  }

  async append(data) {
    for (let turn = 0; ; turn++) {
      try {
        this.buffer.appendBuffer(data);
        break;
      } catch (error) {
        if (error.name !== "QuotaExceededError" || turn > 2) throw error;
        await this.evict(10 / (turn + 1));
      }
    }
    await this.settled();
  }

  settled() {
    if (!this.buffer.updating) return Promise.resolve();
    return new Promise((done) => this.buffer.addEventListener("updateend", done, { once: true }));
  }

  // Remove parts that are far from the position.
  async evict(behind = BEHIND_S) {
    for (const [name, part] of [...this.appended]) {
      if (part.stop > this.position - behind && part.start < this.position + FAR_S) continue;
      this.appended.delete(name);
      this.buffer.remove(part.start, part.stop);
      await this.settled();
    }
  }
}

// The part at which decoding must begin to show `t`.
function findPart(parts, t) {
  let found = 0;
  while (found + 1 < parts.length && parts[found + 1][0] <= t) found++;
  while (found > 0 && !parts[found][2]) found--;
  return found;
}
