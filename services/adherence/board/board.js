// The care board is a client of the public APIs with the user's own key, as any other program would be. Who a patient or a member of
// the care team is, the notifier says, if this key may know; else an id stands there. Everything is put into the page as text.
"use strict";

const KINDS = {
  "missed-check-in": "Check-in not answered",
  "follow-up-missed": "Follow-up missed",
  "follow-up-unrecorded": "Follow-up not recorded",
  "missed-doses": "Doses not taken, as far as known",
  "dose-gap": "Gap in doses: prescriber decides",
  "side-effect": "Side effect reported",
  "crisis": "Risk wording in a text",
  "message-to-read": "A text for a person to read",
  "not-reachable": "Cannot be reached by text",
  "texts-paused-by-crisis": "Texts still paused after a crisis",
  "monitoring-overdue": "Lab or vital sign overdue",
  "plan-review": "Plan due for review",
  "record-incomplete": "Record incomplete",
};
const SEVERITIES = { low: "Low", high: "High", crisis: "Crisis" };
const REFRESH_MS = 30_000;
const names = new Map();
const at = (id) => document.getElementById(id);

class Refused extends Error {}

async function call(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("key")}` };
  if (options.body) headers["Content-Type"] = "application/json";
  if (options.method === "POST") headers["Idempotency-Key"] = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) throw new Refused("This key is not valid here.");
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `The service answered ${answer.status}.`);
  }
  return answer.json();
}

// The clinical clock, which may be simulated: /clock where there is one, else this machine's.
async function clinicalNow() {
  try {
    const answer = await fetch("/clock", { cache: "no-store" });
    if (answer.ok) return new Date((await answer.json()).now);
  } catch { /* no such path in production: the machine's own time is the clinical one */ }
  return new Date();
}

async function nameOf(kind, id) {
  const path = `/notifier/${kind}/${id}`;
  if (!names.has(path)) {
    let known = null;
    try { known = await call(path); } catch (error) { if (error instanceof Refused) throw error; }
    names.set(path, (known && (known.name || known.label || known.alias)) || `${id.slice(0, 8)}…`);
  }
  return names.get(path);
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function ago(then, now) {
  const minutes = Math.max(0, Math.round((now - then) / 60_000));
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

// Times are this browser's local time; the heading says which zone that is.
function when(text, more = {}) {
  return new Date(text).toLocaleString([], { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", ...more });
}

function facts(pairs) {
  const list = element("dl");
  for (const [term, value, className] of pairs) list.append(element("dt", term), element("dd", value, className));
  return list;
}

// One button: says what it does and to what, is off while it works, and tells the outcome.
function action(label, about, path, body, first) {
  const button = element("button", label, first ? "first" : "");
  button.type = "button";
  button.setAttribute("aria-label", `${label}: ${about}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await call(path, { method: "POST", body: JSON.stringify(body) });
      at("done").textContent = `Done. ${label}: ${about}.`;
      await show();
      at("alerts-title").focus();
    } catch (error) {
      tell(error);
      button.disabled = false;
    }
  });
  return button;
}

async function alertCard(alert, now) {
  const card = element("li", undefined, `card ${alert.severity}`);
  const kind = KINDS[alert.kind] || alert.kind;
  const title = element("h3", kind);
  title.append(element("span", SEVERITIES[alert.severity], "severity"));
  const turn = alert.recipient ? await nameOf("people", alert.recipient) : "nobody right now; ops has been told";
  const rows = [
    ["Code", alert.code, "code"],
    ["Patient", await nameOf("patients", alert.patient)],
    ["Since", `${ago(new Date(alert.raised_at), now)} (${when(alert.raised_at)})`],
  ];
  if (alert.state === "open") {
    rows.push(["Whose turn", turn]);
    rows.push(["Next turn at", alert.deadline_at ? when(alert.deadline_at) : "stays here until somebody acknowledges"]);
  }
  if (alert.no_text_possible) rows.push(["Reach", "No text possible: call"]);
  const actions = element("div", undefined, "actions");
  const path = `/adherence/alerts/${alert.id}`;
  const about = `${kind}, ${alert.code}`;
  if (alert.state === "open") actions.append(action("Acknowledge", about, `${path}/acknowledge`, { via: "board" }, true));
  actions.append(action("Resolve", about, `${path}/resolve`, { via: "board" }, alert.state !== "open"));
  card.append(title, facts(rows), actions);
  return card;
}

async function followUpCard(followUp) {
  const card = element("li", undefined, "card");
  const patient = await nameOf("patients", followUp.patient);
  card.append(element("h3", "Did it take place?"));
  card.append(facts([
    ["Patient", patient],
    ["Due", followUp.due_on || "not dated"],
    ["Deadline", when(followUp.deadline_at)],
  ]));
  const actions = element("div", undefined, "actions");
  const path = `/adherence/follow-ups/${followUp.id}/outcome`;
  actions.append(action("Kept", `follow-up of ${patient}`, path, { outcome: "kept" }, true));
  actions.append(action("Missed", `follow-up of ${patient}`, path, { outcome: "missed" }));
  card.append(actions);
  return card;
}

function fill(id, cards, empty) {
  const section = at(id);
  section.querySelector(".cards").replaceChildren(...cards);
  section.querySelector(".count").textContent = cards.length ? `(${cards.length})` : "";
  section.querySelector(".state").textContent = cards.length ? "" : empty;
}

async function load() {
  const now = await clinicalNow();
  const [open, acknowledged, followUps] = await Promise.all([
    call("/adherence/alerts?state=open"),
    call("/adherence/alerts?state=acknowledged"),
    call("/adherence/follow-ups?state=unrecorded"),
  ]);
  const cards = async (alerts) => Promise.all(alerts.map((alert) => alertCard(alert, now)));
  await showSwitch();
  fill("alerts", await cards(open), "No open alerts. Nobody is waiting for you.");
  fill("acknowledged", await cards(acknowledged), "Nothing is acknowledged and unresolved.");
  fill("follow-ups", await Promise.all(followUps.map(followUpCard)), "No follow-up is past its deadline without an outcome.");
  at("as-of").textContent = `As of ${when(now, { timeZoneName: "short" })}`;
}

// Whether texts go at all. Without an answer nothing is claimed: the alerts below do not depend on it.
async function showSwitch() {
  const banner = at("switched-off");
  let shown = null;
  try { shown = await call("/notifier/switch"); } catch (error) { if (error instanceof Refused) throw error; }
  const whose = shown && shown.all !== "on" ? "for every clinic" : "for this clinic";
  const crisis = shown && shown.everything ? "Not even safe replies go; of a crisis ops alone is told." : "Safe replies and crisis alerts still go.";
  const text = !shown ? "It cannot be seen right now whether texts go." : `Texts are switched off ${whose} since ${when(shown.since)}. ${crisis}`;
  banner.hidden = Boolean(shown) && shown.sending === "on";
  if (!banner.hidden && banner.textContent !== text) banner.textContent = text;
}

function tell(error) {
  at("problem").textContent = `${error.message} ${error instanceof Refused ? "" : "What you see may be out of date."}`.trim();
  at("problem").hidden = false;
  if (error instanceof Refused) ask();
}

function ask() {
  sessionStorage.removeItem("key");
  names.clear();
  for (const id of ["alerts", "acknowledged", "follow-ups", "refresh", "forget", "switched-off"]) at(id).hidden = true;
  at("as-of").textContent = "";
  at("key-form").hidden = false;
  at("key").focus();
}

async function show() {
  const first = at("alerts").hidden;
  if (first) for (const id of ["alerts", "acknowledged", "follow-ups"]) at(id).querySelector(".state").textContent = "Loading…";
  at("key-form").hidden = true;
  for (const id of ["alerts", "acknowledged", "follow-ups", "refresh", "forget"]) at(id).hidden = false;
  try {
    await load();
    at("problem").hidden = true;
  } catch (error) {
    tell(error);
  }
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", at("key").value.trim());
  at("key").value = "";
  at("problem").hidden = true;
  show();
});
at("refresh").addEventListener("click", show);
at("forget").addEventListener("click", () => { at("done").textContent = ""; ask(); });
// Not while a button has the focus: a card must not vanish under a keyboard.
setInterval(() => {
  const busy = document.activeElement && document.activeElement.closest(".cards");
  if (sessionStorage.getItem("key") && !document.hidden && !busy) show();
}, REFRESH_MS);

if (sessionStorage.getItem("key")) show();
else ask();
