// Keeps the page up to date: cards come as rendered HTML, so that this file knows no layout.
"use strict";

const STALE_MS = 10_000;
const RETRY_MS = 3_000;
const GLOW_MS = 1_000;
const LEAVE_MS = 3_000;
const words = document.body.dataset;
const phones = document.getElementById("phones");
const heldButton = document.getElementById("held");
const link = document.getElementById("link");
const held = new Set(); // cards that belong further up but would move something under the pointer

let position = words.since;
let heardAt = Date.now();
let leftAt = 0; // when the pointer last left the cards, perhaps on its way to the button

// Whoever points at a card, reads in one, or has scrolled down must not have it moved away.
const mayMove = () =>
  !phones.matches(":hover") && !phones.contains(document.activeElement) && window.scrollY < 8;

function place(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const card = template.content.firstElementChild;
  const old = document.getElementById(card.id);
  const isNewer = !old || newestTime(card) !== newestTime(old);
  if (!old) {
    phones.append(card);
  } else {
    keepReading(old, card);
  }
  if (isNewer) {
    held.add(card.id);
  }
  return card;
}

const newestTime = (card) => card.querySelector("li time")?.dateTime + card.querySelector(".total").textContent;

// The reader stays at the same text and keeps the focus, although the card is a new one.
function keepReading(old, card) {
  const before = old.querySelector(".texts");
  const after = card.querySelector(".texts");
  const hasFocus = document.activeElement === before;
  const form = old.querySelector(".reply"); // with what somebody is writing in it
  const writing = form?.contains(document.activeElement) ? document.activeElement : null;
  const { scrollTop, scrollHeight } = before;
  old.replaceWith(card);
  if (form) card.querySelector(".reply")?.replaceWith(form);
  (hasFocus ? after : writing)?.focus({ preventScroll: true });
  if (scrollTop > 0) after.scrollTop = scrollTop + after.scrollHeight - scrollHeight;
}

async function reply(event) {
  const form = event.target.closest(".reply");
  if (!form) return;
  event.preventDefault();
  const content = form.elements.content.value.trim();
  if (!content) return;
  const said = form.querySelector(".said");
  const address = `/phones/${form.closest(".phone").id}/replies`;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ content }),
  }).catch(() => null);
  said.textContent = (answer?.ok ? form.dataset.sent : form.dataset.failed).replace("{text}", content);
  if (answer?.ok) form.reset();
}

async function press(event) {
  const button = event.target.closest(".keys button");
  if (!button) return;
  await fetch(`/sandbox/calls/${button.parentElement.dataset.call}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: button.dataset.key }),
  }).catch(() => null); // the card tells what came of it
}

function bringUp() {
  for (const id of held) {
    const card = document.getElementById(id);
    if (!card || card === phones.firstElementChild) continue;
    const texts = card.querySelector(".texts");
    const { scrollTop } = texts; // moving an element rolls it back to its top
    phones.prepend(card);
    texts.scrollTop = scrollTop;
  }
  held.clear();
  while (phones.children.length > Number(words.cardsMax)) phones.lastElementChild.remove();
  showHeld();
}

function showHeld() {
  heldButton.hidden = held.size === 0;
  heldButton.textContent = words.held.replace("{n}", held.size);
}

function glow(card) {
  for (const other of phones.querySelectorAll(".glow")) other.classList.remove("glow");
  card.classList.add("glow");
  setTimeout(() => card.classList.remove("glow"), GLOW_MS);
}

function onNews(event) {
  heard(event);
  const { cards, counts } = JSON.parse(event.data);
  if (cards.length === 0) return;
  document.getElementById("counts").textContent = counts;
  document.getElementById("empty").hidden = true;
  const placed = cards.map(place);
  if (mayMove()) bringUp();
  showHeld();
  glow(placed[placed.length - 1]);
  tellTime();
}

function heard(event) {
  position = event.lastEventId || position;
  heardAt = Date.now();
  showLink("live");
}

function showLink(state) {
  const time = new Date(heardAt).toLocaleTimeString("zh-CN", { timeZone: "Asia/Shanghai", hour12: false });
  const sentence = words[state].replace("{time}", time);
  link.hidden = false;
  if (link.textContent === sentence) return; // a status said anew is read out anew
  link.className = `link ${state}`;
  link.textContent = sentence;
}

function connect() {
  const source = new EventSource(`${words.events}&since=${encodeURIComponent(position)}`);
  source.addEventListener("news", onNews);
  source.addEventListener("reset", () => location.reload());
  source.addEventListener("error", () => {
    source.close(); // the browser's own retry would ask from where this connection began
    setTimeout(connect, RETRY_MS);
  });
}

function ago(seconds) {
  const units = [[86_400, "days"], [3_600, "hours"], [60, "minutes"]];
  const unit = units.find(([length]) => seconds >= length);
  return unit ? words[unit[1]].replace("{n}", Math.floor(seconds / unit[0])) : words.now;
}

function tellTime() {
  for (const time of document.querySelectorAll("time")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1_000;
    const said = time.querySelector(".ago");
    const sentence = ago(seconds);
    if (said.textContent !== sentence) said.textContent = sentence;
  }
}

phones.addEventListener("submit", reply);
phones.addEventListener("click", press);
heldButton.addEventListener("click", () => {
  bringUp();
  window.scrollTo({ top: 0 });
});
phones.addEventListener("pointerleave", () => {
  leftAt = Date.now();
});
setInterval(tellTime, 15_000);
setInterval(() => {
  const silent = Date.now() - heardAt;
  if (silent > STALE_MS) showLink("stale");
  else if (silent > STALE_MS / 2) showLink("connecting");
  if (held.size > 0 && mayMove() && Date.now() - leftAt > LEAVE_MS) bringUp();
}, 1_000);
showLink("connecting");
connect();
