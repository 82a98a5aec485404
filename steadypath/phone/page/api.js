// Talks to the simulator and, for time, to the stack's own origin. Every failure becomes a sentence that says what to do.

export async function call(path, method = "GET", body = undefined) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The simulator does not answer. Is the stack still running? Start it again with make demo.");
  }
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(said?.detail || `Answered ${answer.status}.`), { status: answer.status, said });
  return said;
}

export function toast(text, kind = "error") {
  const note = document.createElement("div");
  note.className = `toast ${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.textContent = "✕";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => note.remove());
  note.append(words, close);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), kind === "error" ? 12000 : 5000);
}

const formats = new Map();

// A moment in a zone, in the form that is asked for; an unknown zone falls back to UTC rather than to the viewer's own.
export function local(moment, zone, options) {
  const key = JSON.stringify([zone, options]);
  if (!formats.has(key)) {
    let format;
    try {
      format = new Intl.DateTimeFormat("en-US", { ...options, timeZone: zone || "UTC" });
    } catch {
      format = new Intl.DateTimeFormat("en-US", { ...options, timeZone: "UTC" });
    }
    formats.set(key, format);
  }
  return formats.get(key).format(moment);
}
