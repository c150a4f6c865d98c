// Shows the newest state of a page in place, so that the reader's place and focus stay. Without scripts the page reloads itself.
"use strict";

const own = document.currentScript.dataset;

function tellLost(lost) {
  const known = document.getElementById("lost");
  if (!lost && known) known.remove();
  if (!lost || known) return;
  const line = document.createElement("p");
  line.id = "lost";
  line.className = "fault";
  line.setAttribute("role", "alert");
  line.textContent = own.lost;
  document.querySelector("main").before(line);
}

async function refresh() {
  let answer;
  try {
    answer = await fetch(location.href, { cache: "no-store" });
  } catch {
    tellLost(true);
    return;
  }
  if (answer.redirected) location.reload();
  tellLost(!answer.ok);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = document.querySelector("main");
  const next = page.querySelector("main");
  const active = document.activeElement;
  const inside = now.contains(active);
  // whoever fills in a form is not interrupted
  if (!next || now.innerHTML === next.innerHTML || (inside && active.closest("form"))) return;
  const held = inside ? active.getAttribute("href") : null;
  now.replaceChildren(...next.childNodes);
  // focus stays on the same link, so that it neither is lost nor keeps the page from being renewed
  if (held) now.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

setInterval(refresh, Number(own.every) * 1000);
