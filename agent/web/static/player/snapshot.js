// A snapshot: the pictures that are shown, each with camera, time and the SHA-256 of the recorded file, as one PNG.

import { clock } from "./words.js";

const LINE = 30;

export async function save(screens, film, box) {
  const taken = screens.filter((s) => s.video.videoWidth && !s.element.classList.contains("without"));
  if (!taken.length) return null;
  const width = Math.max(...taken.map((s) => s.video.videoWidth), 960);
  const heights = taken.map((s) => Math.round((s.video.videoHeight * width) / s.video.videoWidth));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = heights.reduce((sum, h) => sum + h + 2 * LINE + 6, 0);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textBaseline = "middle";
  let y = 0;
  for (const [i, screen] of taken.entries()) {
    pen.drawImage(screen.video, 0, y, width, heights[i]);
    y += heights[i];
    const converted = screen.feed.h264 ? ` (${film.words.h264_note})` : "";
    const at = screen.frame ?? screen.video.currentTime;
    const lines = [
      [`${film.class_id}  ${screen.camera.name}  ${film.date} ${clock(at, 3)}  ${box}${converted}`, "bold 20px sans-serif"],
      [`${film.words.snapshot_caption} ${await screen.sourceHash()}`, "15px monospace"],
    ];
    pen.fillStyle = "#fff";
    for (const [row, [text, font]] of lines.entries()) {
      pen.font = font;
      pen.fillText(text, 10, y + LINE * (row + 0.55), width - 20);
    }
    y += 2 * LINE + 6;
  }
  const data = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const first = taken[0];
  const name = `${film.class_id}_${taken.map((s) => s.camera.id).join("-")}_${film.date}_${clock(first.frame ?? 0).replaceAll(":", "")}.png`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}
