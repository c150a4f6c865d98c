// The wall: shows its pages in turn, and the time of the bureau's machine. overview.js and refresh.js keep it new.
"use strict";

const SHOWN_S = 15;
const ahead = Number(document.getElementById("clock").dataset.now) * 1000 - Date.now();
const zone = Number(document.getElementById("clock").dataset.zone) * 1000;

function tick() {
  const clock = document.getElementById("clock");
  if (clock) clock.textContent = new Date(Date.now() + ahead + zone).toISOString().slice(11, 19);
}

function turn() {
  const wall = document.querySelector(".wall");
  const pages = Number(wall?.dataset.pages ?? 1);
  if (pages < 2) return;
  const next = (Number(wall.dataset.page) % pages) + 1;
  history.replaceState(null, "", `/wall?page=${next}`);
  refresh().then(tick);
}

tick();
setInterval(tick, 1000);
setInterval(turn, SHOWN_S * 1000);
