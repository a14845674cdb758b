// Keeps the board up to date. Lines come as rendered HTML, so that this file knows no layout; it
// counts the town's time down by itself between two pieces of news, never by this machine's clock.
"use strict";

const STALE_MS = 10_000;
const DEAD_MS = 15_000; // no word for so long: the connection is gone, whatever the browser thinks
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 10_000;
const GLOW_MS = 1_000;
const LEAVE_MS = 3_000;
const QUIET_MS = 30_000; // a pointer that rests so long is nobody's hand
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const given = document.body.dataset;
const words = JSON.parse(given.words);
const months = words.months.split(" ");
const weekdays = words.weekdays.split(" ");
const byId = (id) => document.getElementById(id);
const [list, rows, held, link] = [byId("cases"), byId("rows"), byId("held"), byId("link")];
const parts = { head: byId("head"), foot: byId("foot"), acts: byId("acts") };

// --- The town's time -------------------------------------------------------------------------

let town = { ms: Number(given.now), at: performance.now() };
const now = () => town.ms + performance.now() - town.at;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const two = (n) => String(n).padStart(2, "0");
const calendar = new Intl.DateTimeFormat("en-US", {
  timeZone: given.zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit",
});

function local(ms) {
  const found = {};
  for (const { type, value } of calendar.formatToParts(ms)) found[type] = value;
  const date = Date.UTC(found.year, found.month - 1, found.day);
  return { ...found, date, weekday: (new Date(date).getUTCDay() + 6) % 7 };
}

function span(ms) {
  const minutes = Math.floor(ms / MINUTE);
  const [d, h, m] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  if (d) return fill(h ? words.span_days_hours : words.span_days, { d, h });
  if (h) return fill(m ? words.span_hours_minutes : words.span_hours, { h, m: two(m) });
  return fill(words.span_minutes, { m });
}

function moment(ms, here) {
  const there = local(ms);
  const near = { 0: words.today, 1: words.tomorrow, [-1]: words.yesterday };
  const far = there.year === here.year ? words.date : words.date_year;
  return fill(near[Math.round((there.date - here.date) / DAY)] ?? far, {
    year: there.year, month: months[there.month - 1], day: there.day, time: `${there.hour}:${there.minute}`,
  });
}

function remaining(left) {
  if (left > 0) return left >= MINUTE ? fill(words.left, { span: span(left) }) : words.left_little;
  return -left >= MINUTE ? fill(words.late, { span: span(-left) }) : words.late_just;
}

function ago(ms) {
  const unit = [[DAY, words.days_ago], [HOUR, words.hours_ago], [MINUTE, words.minutes_ago]].find(([length]) => ms >= length);
  return unit ? fill(unit[1], { n: Math.floor(ms / unit[0]) }) : words.just_now;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tellRow(row, at, here) {
  const due = row.querySelector(".due");
  let how = "untaken" in row.dataset ? "untaken" : "open";
  if (due) {
    const ms = Date.parse(due.dateTime);
    if (ms <= at) how = "late";
    else if (Number(due.dataset.soon) <= at) how = "soon";
    put(due.firstElementChild, remaining(ms - at));
    put(due.lastElementChild, fill(how === "late" ? words.was_due : words.until, { at: moment(ms, here) }));
  }
  const came = row.querySelector(".came");
  put(came.firstElementChild, ago(at - Date.parse(came.dateTime)));
  put(came.lastElementChild, fill(words.at, { at: moment(Date.parse(came.dateTime), here) }));
  for (const slot of row.querySelectorAll(".slot-due")) {
    const ms = Date.parse(slot.dateTime);
    put(slot.firstElementChild, remaining(ms - at));
    put(slot.lastElementChild, fill(ms <= at ? words.was_due : words.until, { at: moment(ms, here) }));
  }
  for (const slot of row.querySelectorAll(".slot-came")) put(slot, moment(Date.parse(slot.dateTime), here));
  row.classList.remove("late", "soon", "untaken", "open");
  row.classList.add(how);
}

function tellTime() {
  const at = now();
  const here = local(at);
  for (const row of rows.children) tellRow(row, at, here);
  put(byId("printed"), fill(words.printed, { time: `${here.year}-${two(here.month)}-${two(here.day)} ${here.hour}:${here.minute}` }));
}

function tellClock() {
  const here = local(now());
  const day = fill(words.header_date, { month: months[here.month - 1], day: here.day, weekday: weekdays[here.weekday] });
  put(byId("clock"), `${day} ${here.hour}:${here.minute}`);
}

// --- The list --------------------------------------------------------------------------------

let order = [...rows.children].map((row) => row.dataset.n);
let touchedAt = -Infinity; // when anybody last moved, scrolled or typed
let touchedBy = "mouse";
let leftAt = -Infinity; // when the pointer last left the list, perhaps on its way to the button
let over = false;

// Whoever points at a line, marks one or has scrolled down must not have it moved away.
function mayMove() {
  const idle = performance.now() - touchedAt;
  if (idle > QUIET_MS) return true;
  const marked = document.getSelection();
  if (over || window.scrollY > 200 || performance.now() - leftAt < LEAVE_MS) return false;
  if (marked && !marked.isCollapsed && list.contains(marked.anchorNode)) return false;
  return touchedBy === "mouse" || idle > LEAVE_MS;
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

const rowOf = (number) => rows.querySelector(`[data-n="${CSS.escape(number)}"]`);
const meaning = (cell) => [...cell.querySelectorAll("[data-v], time")].map((part) => part.dataset.v ?? part.dateTime).join() || cell.textContent;

function glow(element) {
  element.classList.add("glow");
  setTimeout(() => element.classList.remove("glow"), GLOW_MS);
}

function placeRow(html) {
  const fresh = parsed(html);
  const row = rowOf(fresh.dataset.n);
  if (!row) {
    rows.append(fresh);
    glow(fresh);
    return;
  }
  if (row.dataset.v === fresh.dataset.v) return;
  [...row.children].forEach((cell, n) => {
    const next = fresh.children[0]; // it leaves `fresh` when it takes the old one's place
    if (meaning(cell) === meaning(next)) {
      next.remove();
      return;
    }
    const before = new Set([...cell.querySelectorAll("[data-v]")].map((lamp) => lamp.dataset.v));
    const lamps = [...next.querySelectorAll("[data-v]")];
    cell.replaceWith(next);
    if (lamps.length === 0) glow(next);
    for (const lamp of lamps) if (!before.has(lamp.dataset.v)) glow(lamp);
  });
  row.dataset.v = fresh.dataset.v;
  row.toggleAttribute("data-untaken", fresh.hasAttribute("data-untaken"));
}

function isSettled() {
  return rows.children.length === order.length && order.every((number, n) => rows.children[n].dataset.n === number);
}

function settle() {
  const wanted = new Set(order);
  for (const row of [...rows.children]) if (!wanted.has(row.dataset.n)) row.remove();
  order.forEach((number, n) => {
    const row = rows.children[n];
    if (row?.dataset.n !== number) rows.insertBefore(rowOf(number), row ?? null);
  });
  list.hidden = order.length === 0;
  held.hidden = true;
}

function settleOrHold() {
  if (isSettled()) {
    held.hidden = true;
  } else if (mayMove()) {
    settle();
  } else {
    const wanted = new Set(order);
    for (const row of rows.children) {
      const gone = !wanted.has(row.dataset.n);
      if (gone && !row.classList.contains("gone")) put(row.querySelector(".state"), words.gone);
      row.classList.toggle("gone", gone);
    }
    held.hidden = false;
  }
}

// --- News ------------------------------------------------------------------------------------

let position = given.since;
let heardMs = Number(given.heard); // the town's time up to which all is known
let factMs = Number(given.fact);
let wordAt = performance.now(); // when anything last came
let source = null;
let failures = 0;
let heldActs = null; // what happened lately, while a pointer rests on what is shown of it

function putActs() {
  if (heldActs === null || (parts.acts.matches(":hover") && performance.now() - touchedAt < QUIET_MS)) return;
  const before = new Set([...parts.acts.children].map((line) => line.textContent));
  parts.acts.innerHTML = heldActs;
  heldActs = null;
  for (const line of parts.acts.children) if (!before.has(line.textContent)) glow(line);
}

function onNews(event) {
  const said = onWord(event);
  position = event.lastEventId;
  const { news } = said;
  document.title = news.title;
  news.rows.forEach(placeRow);
  for (const name of ["head", "foot"]) if (name in news) parts[name].innerHTML = news[name];
  heldActs = news.acts ?? heldActs;
  putActs();
  order = news.order;
  list.hidden = list.hidden && order.length === 0;
  settleOrHold();
  tellTime();
}

function onWord(event) {
  const said = JSON.parse(event.data);
  town = { ms: said.now, at: performance.now() };
  heardMs = said.heard;
  factMs = said.fact;
  byId("demo").hidden = !said.demo;
  wordAt = performance.now();
  failures = 0;
  tellClock();
  tellLink();
  return said;
}

function connect() {
  source?.close();
  wordAt = performance.now();
  source = new EventSource(`${given.events}&since=${encodeURIComponent(position)}`);
  source.addEventListener("board", onNews);
  source.addEventListener("beat", onWord);
  source.addEventListener("error", () => {
    source.close(); // the browser's own retry would ask from where this connection began
    const wait = Math.min(RETRY_MS * 2 ** failures++, RETRY_MAX_MS);
    setTimeout(connect, wait * (0.5 + Math.random() / 2));
  });
}

const clockTime = (ms) => {
  const at = local(ms);
  return `${at.hour}:${at.minute}:${at.second}`;
};

function tellLink() {
  const behind = now() - heardMs;
  let state = source?.readyState === EventSource.OPEN ? "live" : "connecting";
  if (behind > STALE_MS) state = "stale";
  let text = fill(words[`link_${state}`], { time: clockTime(Math.max(heardMs, factMs)) });
  if (state === "stale" && factMs) text += ` · ${fill(words.link_last, { time: clockTime(factMs) })}`;
  link.hidden = false;
  link.className = `link ${state}`;
  put(link, text); // a status said anew is read out anew
}

// --- Whoever sits before it ------------------------------------------------------------------

const touched = (event) => {
  touchedAt = performance.now();
  touchedBy = event.pointerType ?? "other";
};
for (const type of ["pointermove", "pointerdown", "wheel", "keydown", "scroll"]) {
  document.addEventListener(type, touched, { passive: true });
}
list.addEventListener("pointerenter", (event) => {
  over = event.pointerType === "mouse";
});
list.addEventListener("pointerleave", () => {
  if (over) leftAt = performance.now();
  over = false;
});
held.addEventListener("click", () => {
  settle();
  window.scrollTo({ top: 0 });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});

const phones = byId("phones");
if (phones) {
  const key = "chuishao.phones";
  try {
    phones.open = localStorage.getItem(key) !== "closed";
    phones.addEventListener("toggle", () => localStorage.setItem(key, phones.open ? "open" : "closed"));
  } catch {
    // without storage it opens each time
  }
}

setInterval(() => {
  tellClock();
  tellLink();
  if (performance.now() - wordAt > DEAD_MS) connect();
  settleOrHold();
  putActs();
}, 1_000);
setInterval(tellTime, 5_000);
tellLink();
connect();
