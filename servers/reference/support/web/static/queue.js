// The queue of refunds: new ones appear and decided ones go; where somebody writes, it stays.
"use strict";

const EVERY = 2000;
// An unattended page must not keep its session alive.
const UNATTENDED = 15 * 60 * 1000;
const queue = document.getElementById("queue");
const count = document.getElementById("count");
let used = Date.now();

function named(list) {
  return new Map([...list.children].map((each) => [each.dataset.refund, each]));
}

function take(page) {
  const there = named(queue);
  const fresh = page.getElementById("queue");
  for (const [name, item] of there) {
    if (!named(fresh).has(name)) go(item);
  }
  let place = queue.firstElementChild;
  for (const [name, item] of named(fresh)) {
    const kept = there.get(name);
    if (kept) {
      place = kept.nextElementSibling;
    } else {
      queue.insertBefore(document.importNode(item, true), place);
    }
  }
  tell(page.getElementById("count").textContent);
}

/** Takes an item away that is decided, unless somebody is at it: that one says so. */
function go(item) {
  const field = item.querySelector("[name=rejection]");
  if (!item.contains(document.activeElement) && !(field && field.value)) {
    item.remove();
  } else if (!item.querySelector("[role=status]")) {
    const words = document.createElement("p");
    words.setAttribute("role", "status");
    item.append(words);
    words.textContent = "Somebody else has decided on it meanwhile.";
  }
}

function tell(words) {
  if (count.textContent !== words) count.textContent = words;
}

async function look() {
  if (Date.now() - used > UNATTENDED) {
    tell("The list is no longer kept up. Load the page again.");
    return;
  }
  if (!document.hidden) {
    try {
      const answer = await fetch(queue.dataset.from, {
        headers: { accept: "text/html" }, redirect: "manual",
      });
      if (answer.type === "opaqueredirect") {
        tell("You are signed out. Load the page again.");
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      tell("The list cannot be kept up at the moment.");
    }
  }
  setTimeout(look, EVERY);
}

for (const kind of ["keydown", "pointerdown"]) {
  document.addEventListener(kind, () => { used = Date.now(); });
}
setTimeout(look, EVERY);
