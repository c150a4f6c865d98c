// Brings what the server draws of a half-day under way (figures, curve, bars, gaps, marks) into the page that is open.
//
// The page is asked for anew and its parts that carry `data-fresh` take the place of those shown; player, forms and what
// was typed stay as they are.

const SHAPE = ["viewBox", "aria-label"];

export class SignedOut extends Error {}

// `loadFilm` asks for the files and gaps anew. Ends once the half-day is over.
export function keepNewest(player, loadFilm) {
  setTimeout(async () => {
    const unseen = document.hidden && !player.stage.playing;
    const film = unseen ? null : await loadFilm().catch((error) => tell(player, error));
    if (film) {
      takeFilm(player, film);
      await redraw(player);
    }
    if (film?.open !== false) keepNewest(player, loadFilm);
  }, Number(player.root.dataset.every) * 1000);
}

// What does not come now is asked for again later.
function tell(player, error) {
  if (error instanceof SignedOut) player.say(player.film.words.signed_out);
  return null;
}

function takeFilm(player, film) {
  player.film.open = player.stage.growing = film.open;
  for (const screen of player.screens) {
    const fresh = film.cameras.find((c) => c.id === screen.camera.id);
    if (!fresh) continue;
    screen.camera.gaps = fresh.gaps;
    screen.feed.update(fresh.segments);
  }
}

async function redraw(player) {
  const answer = await fetch(`${location.pathname}?refresh=1`, { credentials: "same-origin", cache: "no-store" }).catch(
    () => null,
  );
  if (answer?.ok && !answer.redirected && replaceAll(await answer.text())) player.line.fit();
}

// Returns whether anything on the page changed.
function replaceAll(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  let changed = false;
  for (const shown of document.querySelectorAll("[data-fresh]")) {
    const next = page.querySelector(`[data-fresh="${shown.dataset.fresh}"]`);
    if (next) changed = replace(shown, next) || changed;
  }
  return changed;
}

function replace(shown, next) {
  const text = next.innerHTML;
  // whoever reads with the keyboard keeps the place
  if (text === (shown.taken ?? shown.innerHTML) || shown.contains(document.activeElement)) return false;
  shown.taken = text;
  const svg = shown.ownerSVGElement;
  if (svg) for (const name of SHAPE) svg.setAttribute(name, next.ownerSVGElement.getAttribute(name));
  shown.replaceChildren(...next.childNodes);
  return true;
}
