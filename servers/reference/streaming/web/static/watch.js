// Sends what is played without leaving the page, and shows what to watch next. Without this script
// the same forms work, and lead back to the page.
"use strict";

const watch = document.getElementById("watch");
const said = document.getElementById("said");
const list = document.getElementById("next-up");
let before = Promise.resolve();
const DONE = {
  started: "Playing. Next up has changed.",
  position: "The position is kept.",
  finished: "Watched. Next up has changed.",
  rated: "Thank you. Next up has changed.",
};

function show(titles) {
  list.replaceChildren(
    ...titles.map((title) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      item.className = "card";
      link.href = `${watch.dataset.profile}/titles/${encodeURIComponent(title.titleId)}`;
      link.textContent = title.name;
      item.append(link);
      return item;
    }),
  );
}

async function send(fields) {
  let answer;
  try {
    answer = await fetch(watch.dataset.events, {
      method: "POST",
      headers: { accept: "application/json" },
      body: fields,
    });
  } catch {
    throw new Error("That could not be sent. Try again.");
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error.message);
  if (found.nextUp.length) show(found.nextUp);
  said.className = "good";
  said.textContent = DONE[fields.get("kind")];
}

for (const form of watch.querySelectorAll("form[data-event]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form));
    fields.set("event_id", crypto.randomUUID());
    // One after the other, as they happened: what is said and shown is of the last one.
    before = before.then(() => send(fields)).catch((error) => {
      said.className = "error";
      said.textContent = error.message;
    });
  });
}
