// The panel where the network is made to misbehave, and the list of what went wrong.

import { call, local, toast } from "./api.js";

const FAULTS = {
  "drop-after-accept": ["Answer lost, text accepted", "The text goes out, but the connection breaks before the clinic hears so: its send is in doubt."],
  "500-after-accept": ["Server error, text accepted", "The text goes out, but the clinic gets an internal error: its send is in doubt."],
  hang: ["No answer, text not accepted", "The connection stays open without a word until the clinic gives up. Nothing is sent, but the clinic cannot know."],
  reject: ["Refused with a code", "The network says no. Codes from 30000 come later, as “undelivered”, as with Twilio."],
  429: ["Too many requests", "The network is busy: nothing is sent, the clinic may try again."],
  "late-callback": ["Receipts come late", "The text arrives, but its status callbacks come after the delay (clinical time)."],
  "lost-callback": ["Receipts never come", "The text arrives, but nobody tells the clinic: it has to look."],
  "shuffled-callbacks": ["Receipts out of order", "“Delivered” comes before “sent”."],
  "doubled-callback": ["Receipts twice", "Each status callback comes twice."],
  "list-lag": ["Look-ups lag behind", "The text is missing from the provider's list until the delay has passed (clinical time)."],
};
const byId = (id) => document.getElementById(id);
let current = [];
let shown = "";

export function setUpFaults(refresh) {
  const form = byId("fault-form");
  for (const [fault, [name]] of Object.entries(FAULTS).sort((a, b) => Number(a[0] === "429") - Number(b[0] === "429"))) form.elements.fault.append(new Option(name, fault));
  form.elements.fault.value = "drop-after-accept";
  const fit = () => {
    const fault = form.elements.fault.value;
    byId("fault-says").textContent = FAULTS[fault][1];
    form.querySelector("[data-for=code]").hidden = fault !== "reject";
    form.querySelector("[data-for=delay]").hidden = fault !== "late-callback" && fault !== "list-lag";
  };
  form.elements.fault.addEventListener("change", fit);
  fit();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await put([...current, read(form)], refresh);
  });
  byId("fault-clear").addEventListener("click", () => put([], refresh));
  byId("fault-list").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-place]");
    if (button) put(current.filter((_, place) => place !== Number(button.dataset.place)), refresh);
  });
  byId("faults-toggle").addEventListener("click", () => open(byId("faults").hidden));
  byId("faults-close").addEventListener("click", () => open(false));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("faults").hidden) open(false);
  });
  if (location.hash === "#faults") open(true);
}

export function showFaults(state) {
  current = state.faults;
  const fresh = JSON.stringify([state.faults, state.troubles, state.phones.map((each) => each.who.label)]);
  if (fresh === shown) return;
  shown = fresh;
  const names = new Map(state.phones.map((each) => [each.number, each.who.label]));
  const count = byId("fault-count");
  count.hidden = !state.faults.length;
  count.textContent = state.faults.length;
  byId("fault-clear").hidden = !state.faults.length;
  numbers(state.phones);
  lines("fault-list", "Nothing: the network behaves.", state.faults.map((fault, place) => faultLine(fault, place, names)));
  lines("trouble-list", "None so far.", state.troubles.slice(0, 12).map((trouble) => troubleLine(trouble, names)));
}

function numbers(phones) {
  const select = byId("fault-form").elements.to;
  const chosen = select.value;
  select.replaceChildren(new Option("Any phone", ""), ...phones.map((each) => new Option(each.who.label, each.number)));
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
}

function faultLine(fault, place, names) {
  const line = document.createElement("li");
  const words = document.createElement("span");
  const whom = fault.to ? names.get(fault.to) || fault.to : "any phone";
  const times = fault.times === null ? "until cleared" : fault.times === 1 ? "next text" : `next ${fault.times} texts`;
  const more = fault.fault === "reject" ? ` · ${fault.code}` : fault.fault === "late-callback" || fault.fault === "list-lag" ? ` · ${fault.delay.slice(2).toLowerCase()}` : "";
  words.innerHTML = "<b></b><small></small>";
  words.firstChild.textContent = FAULTS[fault.fault][0];
  words.lastChild.textContent = `${whom} · ${times}${more}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.dataset.place = place;
  button.textContent = "✕";
  button.setAttribute("aria-label", `Switch off: ${FAULTS[fault.fault][0]}`);
  line.append(words, button);
  return line;
}

function troubleLine(trouble, names) {
  const line = document.createElement("li");
  const words = document.createElement("span");
  words.innerHTML = "<b></b><small></small>";
  words.firstChild.textContent = trouble.text;
  const when = local(new Date(trouble.at), "UTC", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const whom = trouble.number ? ` · ${names.get(trouble.number) || trouble.number}` : "";
  words.lastChild.textContent = `${when} UTC${whom}${trouble.retry_at ? " · tried once more" : ""}`;
  line.append(words);
  return line;
}

function lines(id, nothing, made) {
  const list = byId(id);
  list.classList.toggle("none", !made.length);
  if (made.length) return list.replaceChildren(...made);
  const line = document.createElement("li");
  line.textContent = nothing;
  return list.replaceChildren(line);
}

function read(form) {
  const fault = { fault: form.elements.fault.value, times: Number(form.elements.times.value), to: form.elements.to.value || null };
  if (fault.fault === "reject") fault.code = Number(form.elements.code.value);
  if (fault.fault === "late-callback" || fault.fault === "list-lag") fault.delay = `PT${Number(form.elements.delay.value)}M`;
  return fault;
}

async function put(faults, refresh) {
  try {
    await call("/phone/faults", "PUT", { faults });
  } catch (error) {
    toast(`The fault was not switched: ${error.message}`);
  }
  await refresh();
}

function open(wanted) {
  byId("faults").hidden = !wanted;
  byId("faults-toggle").setAttribute("aria-expanded", String(wanted));
  (wanted ? byId("fault-form").elements.fault : byId("faults-toggle")).focus({ preventScroll: true });
}
