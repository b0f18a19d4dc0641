// The dashboard: keeps each total as it came last, and draws what it has.
"use strict";

const SHOWN = 15;
const HOURS_SHOWN = 48;
// Pixels that an hour takes below its column.
const WORDS = 100;
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60000;
const SVG = "http://www.w3.org/2000/svg";

const state = document.getElementById("state");
const choice = document.getElementById("window");
const totals = { country: new Map(), sku: new Map(), hourTime: new Map() };
let names = {};
let source = null;
let drawing = false;
let later = 0;
let pause = 0;
let turn = 0;
let leaving = false;

const count = new Intl.NumberFormat("en-GB");
const hour = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const currencies = new Map();

function amount(value, currency) {
  if (!currencies.has(currency)) {
    currencies.set(currency, new Intl.NumberFormat("en-GB", { style: "currency", currency }));
  }
  return currencies.get(currency).format(value);
}

function take(answer) {
  for (const total of answer.totals) {
    const kind = ["country", "sku", "hourTime"].find((each) => each in total);
    const money = total.revenue || {};
    const currency = money.currencyCode || "GBP";
    totals[kind].set(`${total[kind]} ${currency}`, {
      name: total[kind],
      currency,
      orders: Number(total.orders),
      items: Number(total.items),
      revenue: Number(money.units || 0) + (money.nanos || 0) / 1e9,
    });
  }
}

function forget() {
  for (const kept of Object.values(totals)) kept.clear();
}

function tell(words, kind) {
  state.dataset.state = kind;
  if (state.textContent !== words) state.textContent = words;
}

/** Ends what is under way: answers to it that come late change nothing. */
function stop() {
  turn += 1;
  clearTimeout(later);
  if (source) source.close();
}

function follow() {
  stop();
  forget();
  tell("Connecting", "waiting");
  source = new EventSource(`/totals?window=${encodeURIComponent(choice.value)}`);
  source.addEventListener("totals", (event) => {
    take(JSON.parse(event.data));
    if (event.lastEventId) document.documentElement.dataset.revision = event.lastEventId;
    tell("Live", "live");
    pause = 0;
    soon();
  });
  source.addEventListener("reset", () => { forget(); soon(); });
  source.addEventListener("moved", follow);
  source.addEventListener("waiting", () => tell("Waiting for the sales database", "waiting"));
  source.addEventListener("signin", signIn);
  source.addEventListener("problem", (event) => {
    source.close();
    tell(JSON.parse(event.data).message, "waiting");
  });
  source.onerror = () => {
    tell("Connecting again", "waiting");
    // Refused: the browser does not try again by itself.
    if (source.readyState === EventSource.CLOSED) again("");
  };
}

function signIn() {
  // While the form is sent that signs out, this would sign in again.
  if (leaving) return;
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function again(words, least = 0) {
  pause = Math.min(Math.max(pause * 2, FIRST_PAUSE, least), LONGEST_PAUSE);
  if (words) tell(words, "waiting");
  clearTimeout(later);
  later = setTimeout(ask, pause * (1 + Math.random() / 2));
}

async function ask() {
  const mine = turn;
  const next = await refusal();
  if (mine === turn) next();
}

/** Why there are no events, which an EventSource does not say: what to do about it. */
async function refusal() {
  try {
    const answer = await fetch("/totals/room", { headers: { accept: "application/json" } });
    if (answer.ok) return follow;
    if (answer.status === 401) return signIn;
    const least = 1000 * Number(answer.headers.get("retry-after") || 0);
    const words = (await answer.json()).error.message;
    return () => again(words, least);
  } catch {
    return () => again("The dashboard cannot be reached");
  }
}

function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}

function draw() {
  const countries = [...totals.country.values()].sort((a, b) => b.revenue - a.revenue);
  const products = [...totals.sku.values()].sort((a, b) => b.revenue - a.revenue).slice(0, SHOWN);
  const hours = [...totals.hourTime.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  sums(countries);
  table("hours-table", [...hours].reverse(), (each) => hour.format(new Date(each.name)));
  table("countries-table", countries, (each) => each.name);
  table("products-table", products, label);
  columns("hours-chart", hours.slice(-HOURS_SHOWN));
  bars("countries-chart", countries.slice(0, SHOWN), (each) => each.name, "Revenue by country");
  bars("products-chart", products, (each) => names[each.name] || each.name, "Revenue of the best products");
  document.getElementById("hours-chart").dataset.drawn = clock.format(new Date());
}

function label(product) {
  const name = names[product.name];
  return name ? `${name} (${product.name})` : product.name;
}

function sums(countries) {
  const byCurrency = new Map();
  for (const each of countries) {
    byCurrency.set(each.currency, (byCurrency.get(each.currency) || 0) + each.revenue);
  }
  const revenue = [...byCurrency].map(([currency, value]) => amount(value, currency)).join(" + ");
  put("revenue", revenue || "-");
  put("orders", count.format(countries.reduce((sum, each) => sum + each.orders, 0)));
  put("items", count.format(countries.reduce((sum, each) => sum + each.items, 0)));
  put("countries-count", count.format(new Set(countries.map((each) => each.name)).size));
}

function put(id, words) {
  const element = document.getElementById(id);
  if (element.textContent !== words) element.textContent = words;
}

function table(id, rows, named) {
  const body = document.getElementById(id).tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((each, index) => {
    const row = body.rows[index] || newRow(body);
    const cells = [named(each), count.format(each.orders), count.format(each.items),
      amount(each.revenue, each.currency)];
    cells.forEach((words, place) => {
      if (row.cells[place].textContent !== words) row.cells[place].textContent = words;
    });
  });
}

function newRow(body) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  row.append(head);
  for (let place = 0; place < 3; place += 1) row.insertCell().className = "number";
  return row;
}

function element(name, attributes, words) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words !== undefined) made.textContent = words;
  return made;
}

/** How wide a chart may be, in pixels, so that its words keep their size on small screens. */
function room(id, most) {
  return Math.min(most, document.getElementById(id).clientWidth || most);
}

function chart(id, width, height, words) {
  const svg = element("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words,
  });
  document.getElementById(id).replaceChildren(svg);
  return svg;
}

function none(id) {
  const words = document.createElement("p");
  words.className = "empty";
  words.textContent = "Nothing was sold in these hours yet.";
  document.getElementById(id).replaceChildren(words);
}

function bars(id, rows, named, title) {
  if (!rows.length) { none(id); return; }
  const width = room(id, 640);
  const line = 24;
  const start = Math.round(width * 0.36);
  const letters = Math.floor(start / 8.4);
  const most = Math.max(...rows.map((each) => Math.abs(each.revenue)), 1);
  const amounts = rows.map((each) => amount(each.revenue, each.currency));
  const beside = 10 + 8 * Math.max(...amounts.map((each) => each.length));
  const first = rows[0];
  const words = `${title}: ${rows.length} bars, the largest ${named(first)} with ` +
    amounts[0];
  const svg = chart(id, width, rows.length * line, words);
  rows.forEach((each, index) => {
    const y = index * line;
    const long = (Math.abs(each.revenue) / most) * Math.max(width - start - beside, 0);
    const text = named(each);
    svg.append(
      element("text", { x: 0, y: y + 16 }, text.length > letters ? `${text.slice(0, letters - 1)}…` : text),
      element("rect", {
        x: start, y: y + 4, height: line - 8, width: long.toFixed(1),
        class: each.revenue < 0 ? "back" : "bar",
      }),
      element("text", { x: start + 6 + long, y: y + 16 }, amounts[index]),
    );
  });
}

function columns(id, rows) {
  if (!rows.length) { none(id); return; }
  const width = room(id, 960);
  const height = 200;
  const base = height - 24;
  const most = Math.max(...rows.map((each) => Math.abs(each.revenue)), 1);
  const last = rows[rows.length - 1];
  const words = `Revenue by hour: ${rows.length} hours, the last from ` +
    `${hour.format(new Date(last.name))} UTC with ${amount(last.revenue, last.currency)}`;
  const svg = chart(id, width, height, words);
  const step = Math.min(width / rows.length, 80);
  rows.forEach((each, index) => {
    const tall = (Math.abs(each.revenue) / most) * (base - 20);
    svg.append(element("rect", {
      x: (index * step + step * 0.1).toFixed(1), width: (step * 0.8).toFixed(1),
      y: (base - tall).toFixed(1), height: tall.toFixed(1),
      class: each.revenue < 0 ? "back" : "bar",
    }));
    if (index % Math.ceil(WORDS / step) === 0 && (index === 0 || index * step + WORDS <= width)) {
      svg.append(element("text", { x: index * step, y: height - 6 }, hour.format(new Date(each.name))));
    }
  });
  svg.append(element("line", { x1: 0, x2: width, y1: base, y2: base, class: "axis" }));
}

async function nameProducts() {
  try {
    const answer = await fetch("/names", { headers: { accept: "application/json" } });
    if (answer.ok) names = await answer.json();
  } catch {
    // the numbers alone will do until the next try
  }
  soon();
  setTimeout(nameProducts, Object.keys(names).length ? 600000 : 5000);
}

function address() {
  history.replaceState(null, "", `/?window=${encodeURIComponent(choice.value)}`);
}

choice.addEventListener("change", () => { address(); follow(); });
addEventListener("resize", soon);
document.querySelector("form.account").addEventListener("submit", () => { leaving = true; stop(); });
document.querySelector("#choice button").hidden = true;
// Chosen before this ran, or kept by the browser over a reload.
if (!choice.selectedOptions[0].defaultSelected) address();
follow();
nameProducts();
