// Draws the phones. Each phone and bubble is made once and then only changed, so nothing flickers and no draft is lost.

import { call, local } from "./api.js";

const QUICK = ["1", "2", "STOP", "HELP"];
const CLOCK = { hour: "numeric", minute: "2-digit" };
const DAY = { weekday: "long", month: "long", day: "numeric" };
const WORDS = { queued: "Queued", accepted: "Queued", sending: "Sending", sent: "Sent", delivered: "Delivered", received: "Sent", undelivered: "Not delivered", failed: "Failed", canceled: "Cancelled" };
const phones = new Map();
let linked = null; // the text that the address names (/phone#SM...): opened once it is drawn

export function showPhones(state, reply) {
  document.getElementById("empty").hidden = state.phones.length > 0;
  const rows = { patient: "patients", "care-team": "care-team", unknown: "others" };
  for (const id of Object.values(rows)) {
    document.getElementById(id).hidden = !state.phones.some((each) => rows[each.who.role] === id);
  }
  state.phones.forEach((each) => {
    const phone = phones.get(each.number) || make(each, reply);
    const row = document.querySelector(`#${rows[each.who.role]} .row`);
    if (phone.node.parentElement !== row) row.append(phone.node);
    update(phone, each);
  });
  if (linked) toggle(linked);
  linked = null;
  for (const id of Object.values(rows)) order(document.querySelector(`#${id} .row`), state.phones);
}

export function tickPhones(moment) {
  for (const phone of phones.values()) {
    const text = phone.zone ? local(moment, phone.zone, CLOCK) : `${local(moment, "UTC", CLOCK)}`;
    if (phone.time.textContent !== text) phone.time.textContent = text;
  }
}

// Moves a phone only where it is not yet in its place: moving would lose the focus in it.
function order(row, list) {
  const wanted = list.map((each) => phones.get(each.number).node).filter((node) => node.parentElement === row);
  wanted.forEach((node, place) => {
    if (row.children[place] !== node) row.insertBefore(node, row.children[place] || null);
  });
}

function make(each, reply) {
  const node = document.getElementById("phone-template").content.firstElementChild.cloneNode(true);
  const part = (query) => node.querySelector(query);
  const phone = { node, time: part(".status-bar time"), thread: part(".thread"), bubbles: new Map(), shown: "", zone: null };
  const send = async (body) => {
    if (node.classList.contains("sending")) return false;
    node.classList.add("sending");
    try {
      await reply(each.number, body);
      return true;
    } catch {
      return false; // the toast has said why; the draft stays
    } finally {
      node.classList.remove("sending");
    }
  };
  for (const word of QUICK) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => send(word));
    part(".quick").append(button);
  }
  part(".composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const input = event.target.elements.body;
    const body = input.value;
    if (await send(body)) input.value = input.value === body ? "" : input.value;
  });
  phones.set(each.number, phone);
  return phone;
}

function update(phone, each) {
  const shown = JSON.stringify(each);
  if (phone.shown === shown) return;
  phone.shown = shown;
  const part = (query) => phone.node.querySelector(query);
  phone.zone = each.zone;
  phone.node.setAttribute("aria-label", `Phone of ${each.who.label}`);
  phone.node.dataset.role = each.who.role;
  part(".avatar").textContent = initials(each.who.label);
  part("h3").textContent = each.who.label === each.number ? "Unknown" : each.who.label;
  part(".number").textContent = pretty(each.number);
  part(".flag").hidden = !each.opted_out;
  part(".zone").textContent = each.zone ? each.zone.split("/").pop().replaceAll("_", " ") : "UTC";
  part(".zone").title = each.zone || "No zone is known for this number";
  part(".composer input").setAttribute("aria-label", `Text from ${each.who.label}`);
  phone.thread.setAttribute("aria-label", `Texts of ${each.who.label}`);
  const atEnd = phone.thread.scrollHeight - phone.thread.scrollTop - phone.thread.clientHeight < 60;
  drawThread(phone, each);
  if (atEnd || !phone.drawn) phone.thread.scrollTop = phone.thread.scrollHeight;
  phone.drawn = true;
}

function drawThread(phone, each) {
  if (!each.messages.length && !phone.thread.children.length) {
    const nothing = document.createElement("li");
    nothing.className = "nothing";
    nothing.textContent = "No texts yet.";
    phone.thread.append(nothing);
  }
  if (each.messages.length) phone.thread.querySelector(".nothing")?.remove();
  for (const message of each.messages) {
    const day = local(new Date(message.at), each.zone, DAY);
    if (!phone.bubbles.has(message.sid)) {
      if (phone.lastDay !== day) phone.thread.append(dayLine(day));
      phone.lastDay = day;
      const bubble = makeBubble(message);
      phone.bubbles.set(message.sid, bubble);
      phone.thread.append(bubble.node);
      if (location.hash === `#${message.sid}`) linked = bubble;
    }
    drawBubble(phone.bubbles.get(message.sid), message, each.zone);
  }
}

function dayLine(day) {
  const line = document.createElement("li");
  line.className = "day";
  line.textContent = day;
  return line;
}

function makeBubble(message) {
  const node = document.createElement("li");
  node.className = message.direction === "inbound" ? "mine" : "theirs";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "bubble";
  button.textContent = message.body;
  button.setAttribute("aria-expanded", "false");
  const state = document.createElement("p");
  state.className = "state";
  const detail = document.createElement("dl");
  detail.className = "detail";
  detail.hidden = true;
  node.append(button, state, detail);
  const bubble = { node, button, state, detail, message, shown: "" };
  button.addEventListener("click", () => toggle(bubble));
  return bubble;
}

function drawBubble(bubble, message, zone) {
  const shown = JSON.stringify([message, zone]);
  if (bubble.shown === shown) return;
  Object.assign(bubble, { shown, message, zone });
  const words = [local(new Date(message.at), zone, CLOCK), says(message)];
  bubble.state.textContent = words.filter(Boolean).join(" · ");
  bubble.node.dataset.state = message.in_doubt ? "doubt" : message.webhook_error ? "trouble" : message.status;
  bubble.button.title = message.direction === "inbound" ? "Show details" : "Show which event caused this text";
}

function says(message) {
  if (message.direction === "inbound") return message.webhook_error ? "Clinic has not heard" : WORDS[message.status];
  if (message.in_doubt) return "In doubt: unconfirmed";
  const settled = message.settled_by ? ` · settled by ${message.settled_by}` : "";
  return (WORDS[message.status] || message.status) + (message.code ? ` (${message.code})` : "") + settled;
}

async function toggle(bubble) {
  const open = bubble.detail.hidden;
  bubble.detail.hidden = !open;
  bubble.button.setAttribute("aria-expanded", String(open));
  if (!open) return;
  const { message, zone } = bubble;
  const rows = [["When", `${local(new Date(message.at), zone, { ...CLOCK, month: "short", day: "numeric", second: "2-digit" })} ${zone || "UTC"}`]];
  if (message.in_doubt) rows.push(["Doubt", "The network took this text, but its answer never reached the clinic. It is never sent again; a callback or a look-up settles it."]);
  if (message.webhook_error) rows.push(["Webhook", message.webhook_error]);
  if (message.waiting_until) rows.push(["Callback", `comes at ${local(new Date(message.waiting_until), zone, CLOCK)}`]);
  fill(bubble.detail, [...rows, ...(await cause(message)), ["Sid", message.sid]]);
  bubble.node.scrollIntoView({ block: "nearest" });
}

async function cause(message) {
  if (message.direction === "inbound") return [];
  if (message.by === "twilio") return [["Cause", "Twilio answers this word itself, or passed on the clinic's TwiML."]];
  try {
    const said = await call(`/phone/cause/${message.sid}`);
    const named = [["Event", said.cause], ["Event id", said.cause_id], ["Clinic says", said.status], ["Why", said.why]];
    return named.filter(([, value]) => value).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  } catch (error) {
    return [["Event", error.status === 404 ? "The clinic does not know this text yet." : error.message]];
  }
}

function fill(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

function initials(label) {
  const words = label.replace(/^(Dr|Mr|Ms|Mrs)\.?\s+/i, "").split(/\s+/).filter((word) => /^\p{L}/u.test(word));
  return words.length ? (words[0][0] + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase() : "#";
}

function pretty(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return parts ? `(${parts[1]}) ${parts[2]}-${parts[3]}` : number;
}
