// Boots the page, keeps it up to date (one short poll a second, nothing when nothing changed) and moves clinical time.

import { call, local, toast } from "./api.js";
import { setUpFaults, showFaults } from "./faults.js";
import { showPhones, tickPhones } from "./phones.js";

const byId = (id) => document.getElementById(id);
let version = "";
let state = null;
let gotAt = 0; // performance.now() when the state came: a real-time stack ticks on from there
let silent = false;

function now() {
  const base = new Date(state.now).getTime();
  return new Date(state.simulated ? base : base + (performance.now() - gotAt));
}

function tick() {
  if (!state) return;
  const moment = now();
  const shown = local(moment, "UTC", { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (byId("now").textContent !== `${shown} UTC`) byId("now").textContent = `${shown} UTC`;
  tickPhones(moment);
}

function show() {
  byId("clock-buttons").hidden = !state.simulated;
  byId("clock-kind").textContent = state.simulated ? "Clinical time, standing still" : "Real time";
  const chip = byId("link-state");
  chip.className = `chip ${state.notifier_reachable ? "good" : "bad"}`;
  chip.textContent = state.notifier_reachable ? "Clinic connected" : "Clinic not reachable";
  byId("switched-off").hidden = !state.switched_off;
  showPhones(state, reply);
  showFaults(state);
  tick();
}

async function poll() {
  try {
    const fresh = await call(`/phone/state?after=${encodeURIComponent(version)}`);
    if (fresh) {
      state = fresh;
      version = fresh.version;
      gotAt = performance.now();
      show();
    }
    silent = false;
  } catch (error) {
    if (!silent) toast(error.message);
    silent = true; // said once; the chip goes on saying it
    byId("link-state").className = "chip bad";
    byId("link-state").textContent = "Simulator not reachable";
    version = "";
  }
}

async function keepPolling() {
  await poll();
  setTimeout(keepPolling, document.hidden ? 5000 : 1000);
}

async function reply(number, body) {
  const said = await call("/phone/replies", "POST", { from: number, body }).catch((error) => {
    toast(error.status === 422 ? "No clinic has texted this phone yet, and none says which its number is." : error.message);
    throw error;
  });
  if (said.webhook.error) toast(`The clinic did not take this text: ${said.webhook.error}. ${said.webhook.retry_at ? "It is tried once more 15 s of clinical time later." : "It is not tried again."}`);
  await poll();
}

async function advance(button) {
  const buttons = [...byId("clock-buttons").querySelectorAll("button")];
  buttons.forEach((each) => (each.disabled = true));
  button.classList.add("busy");
  try {
    const said = await call("/clock/advance", "POST", JSON.parse(button.dataset.advance));
    if (said.parked) toast(`${said.parked} event(s) are parked: see the care board or the services' /parked list.`);
  } catch (error) {
    const where = error.status === 404 ? "This address has no clock: open the page at the stack's own address." : error.message;
    toast(`Time did not move. ${where}`);
  } finally {
    buttons.forEach((each) => (each.disabled = false));
    button.classList.remove("busy");
    button.focus();
    await poll();
  }
}

byId("clock-buttons").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-advance]");
  if (button) advance(button);
});
setUpFaults(poll);
keepPolling();
setInterval(tick, 1000);
