// Renews how far an order is, in place: a video that is being watched goes on. Without scripts the page reloads itself.
"use strict";

const EVERY_MS = 1000;

async function renew() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.redirected) location.reload();
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["state", "papers"]) {
        const now = document.getElementById(id);
        const next = page.getElementById(id);
        if (next && now.outerHTML !== next.outerHTML) now.replaceWith(next);
      }
      const watch = document.getElementById("watch");
      const shown = new Set([...watch.querySelectorAll("[src]")].map((x) => x.getAttribute("src")));
      for (const figure of page.querySelectorAll("#watch figure")) {
        if (!shown.has(figure.querySelector("[src]").getAttribute("src"))) watch.append(figure);
      }
    }
  } catch {
    // the next turn asks again
  }
  if (document.getElementById("state").dataset.open) setTimeout(renew, EVERY_MS);
}

setTimeout(renew, EVERY_MS);
