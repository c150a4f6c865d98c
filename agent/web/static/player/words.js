// Times of day and sentences of the player. Times are seconds on the time line of a half-day; 86400 is its midnight.

export function clock(t, digits = 0) {
  const unit = 10 ** digits;
  const day = 86400 * unit;
  const whole = ((Math.floor(t * unit + 1e-6) % day) + day) % day;
  const seconds = Math.floor(whole / unit);
  const two = (n) => String(n).padStart(2, "0");
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return digits ? `${text}.${String(whole % unit).padStart(digits, "0")}` : text;
}

// The place on the time line of "HH:MM" or "HH:MM:SS" that lies in [start, stop]; null where it is no time.
export function place(text, start, stop) {
  const found = /^(\d{1,2}):?(\d{2})(?::?(\d{2}))?$/.exec(text.trim());
  if (!found) return null;
  const t = 86400 + Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3] || 0);
  return [t, t + 86400, t - 86400].find((x) => x >= start && x <= stop) ?? t;
}

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
