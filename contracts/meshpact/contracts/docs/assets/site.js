// Search, the switch of colours, and the copy buttons. The pages read well without it.
"use strict";
const INDEX = /*INDEX*/[];
const THEMES = ["system", "light", "dark"];

function stored() {
  try {
    const theme = localStorage.getItem("theme");
    return THEMES.includes(theme) ? theme : "system";
  } catch {
    return "system"; // some browsers keep nothing for file://
  }
}

function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

show(stored());

function themes() {
  const button = document.getElementById("theme");
  const name = document.getElementById("theme-name");
  let theme = stored();
  const say = () => {
    name.textContent = theme;
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // it lasts for this page
    }
    show(theme);
    say();
  });
  say();
}

function rank(entry, words) {
  const name = entry[1].toLowerCase();
  const whole = `${name} ${entry[2].toLowerCase()}`;
  const squeezed = name.replaceAll("_", "");
  let sum = 0;
  for (const word of words) {
    const bare = word.replaceAll("_", "");
    if (name === word) sum += 0;
    else if (name.startsWith(word) || squeezed.startsWith(bare)) sum += 1;
    else if (name.includes(word) || squeezed.includes(bare)) sum += 2;
    else if (whole.includes(word)) sum += 3;
    else return -1;
  }
  return sum;
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = [];
  INDEX.forEach((entry, at) => {
    const sum = rank(entry, words);
    if (sum >= 0) found.push([sum, at, entry]);
  });
  found.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  return found.slice(0, 30).map((each) => each[2]);
}

function search() {
  const input = document.getElementById("search");
  const list = document.getElementById("results");
  const root = document.body.dataset.root;
  let chosen = -1;

  const choose = (at) => {
    const options = list.querySelectorAll("[role=option]");
    if (!options.length) return;
    chosen = (at + options.length) % options.length;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === chosen)));
    options[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[chosen].id);
  };
  const close = () => {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const part = (kind, text) => {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    return span;
  };
  const open = () => {
    const found = find(input.value);
    list.replaceChildren();
    if (!input.value.trim()) return close();
    found.forEach(([kind, name, where, page], number) => {
      const option = document.createElement("li");
      option.id = `result-${number}`;
      option.setAttribute("role", "option");
      const link = document.createElement("a");
      link.href = root + page;
      link.tabIndex = -1;
      link.append(part("kind", kind), part("name", name), part("in", where));
      option.append(link);
      list.append(option);
    });
    if (!found.length) list.append(part("nothing", "Nothing found."));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    choose(0);
  };

  input.addEventListener("input", open);
  input.addEventListener("focus", () => input.value && open());
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      list.querySelectorAll("a")[chosen].click();
      close();
    } else if (event.key === "Escape") {
      close();
      input.blur();
    }
  });
  list.addEventListener("click", close);
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) close();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
}

function copies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(".copy")) {
    let later = 0;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.closest("figure").querySelector("code").textContent;
      clearTimeout(later);
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied"; // the browser forbids it
      }
      later = setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  themes();
  search();
  copies();
});
