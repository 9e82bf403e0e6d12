"use strict";
// The page of `vipann-tf app`. One clip at a time; every answer is sent at once.

const $ = id => document.getElementById(id);
const multilabel = document.body.dataset.multilabel === "yes";
const history = [];  // numbers of the clips that were shown, the last one now
let now = null;      // the clip
let several = multilabel;
let chosen = new Set();
let busy = false;

async function ask(address, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "x-vipann-tf": "1" },
    body: body instanceof Blob ? body : JSON.stringify(body),
  };
  const answer = await fetch(address, options);
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error || `the server answered ${answer.status}`);
  return found;
}

function say(text, isError = false) {
  const place = $("status");
  place.textContent = text;
  place.className = isError ? "error" : "";
}

// Runs one thing at a time, and tells what went wrong.
async function alone(work) {
  if (busy) return;
  busy = true;
  try { await work(); } catch (error) { say(error.message, true); } finally { busy = false; }
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const percent = value => `${(100 * value).toFixed(value > 0.995 || value < 0.005 ? 1 : 0)} %`;

function row(key, found, tag) {
  const fill = element("span", { className: "fill" });
  fill.style.width = `${100 * found.probability}%`;
  const range = element("span", { className: "range" });
  range.style.left = `${100 * found.low}%`;
  range.style.width = `${Math.max(100 * (found.high - found.low), 0.5)}%`;
  const line = element(tag, { className: "bar-row" },
    element(key ? "kbd" : "span", { textContent: key }),
    element("span", {}, element("span", { textContent: found.label }),
      element("div", { className: "band" }, fill, range)),
    element("span", { className: "number", textContent: percent(found.probability) }));
  const words = `${found.label}: ${percent(found.probability)}, nine of ten networks between `
    + `${percent(found.low)} and ${percent(found.high)}`;
  line.title = words;
  if (tag === "button") {
    line.type = "button";
    line.setAttribute("aria-label", `${key}: ${words}`);
    line.setAttribute("aria-pressed", "false");
  }
  return line;
}

function sound(found, play) {
  if (found.error) return [element("p", { className: "error", textContent: found.error })];
  const picture = element("img", { src: found.picture, alt: "Spectrogram: time to the right, high frequencies at the top" });
  const cursor = element("div", { className: "cursor" });
  const player = element("audio", { controls: true, src: found.sound });
  player.addEventListener("timeupdate", () => {
    cursor.style.left = `${100 * player.currentTime / (player.duration || found.seconds)}%`;
  });
  const frame = element("div", { className: "spectrogram" }, picture, cursor);
  frame.addEventListener("click", event => {
    const box = frame.getBoundingClientRect();
    player.currentTime = (event.clientX - box.left) / box.width * (player.duration || found.seconds);
  });
  // A browser may refuse to play before the first key.
  if (play) player.play().catch(() => {});
  return [frame, player];
}

// --- Labelling

const who = () => $("who").value.trim();

// The field of the name is one line once it is filled.
function named(known) {
  $("person").hidden = known;
  $("named").hidden = !known;
}

function showState(state) {
  if (state.progress) {
    const told = state.progress;
    $("done").max = Math.max(told.clips, 1);
    $("done").value = told.answered;
    const words = [`${told.answered} of ${told.clips} clips are answered, ${told.mine} by you.`];
    for (const pair of told.agreement) {
      const kappa = pair.kappa === null ? "not defined yet" : pair.kappa.toFixed(2);
      words.push(`${pair.people.join(" and ")}: ${pair.same} of ${pair.clips} equal, Cohen's kappa ${kappa}.`);
    }
    $("progress-words").textContent = words.join(" ");
    $("all-labels").replaceChildren(...state.labels.map(label => element("option", { value: label })));
  }
  if (state.learning) showLearning(state.learning);
}

function showClip(found) {
  now = found.clip === null ? null : found;
  $("clip").hidden = now === null;
  if (now === null) { say("Nothing is left to label in this queue."); return; }
  chosen = new Set();
  several = multilabel;
  $("clip-name").textContent = found.name;
  const part = found.start_s === null ? "" : `${found.start_s} s to ${found.end_s} s`;
  $("clip-place").textContent = [part, found.time, found.filename].filter(Boolean).join(" · ");
  $("clip-sound").replaceChildren(...sound(found, true));
  $("clip-doubt").textContent = found.doubt || "";
  $("guesses").replaceChildren(...found.labels.map((label, i) => {
    const line = row(String(i + 1), label, "button");
    line.dataset.key = String(i + 1);
    return line;
  }));
  $("other").value = "";
  $("withdraw").hidden = !found.mine;
  if (found.mine) {
    found.mine.labels.forEach(label => chosen.add(label));
    const words = found.mine.verdict === "labels" ? found.mine.labels.join(" and ") : found.mine.verdict;
    say(`Your answer was: ${words}. Another key changes it.`);
    several = several || chosen.size > 1;
  }
  showChosen();
}

function showChosen() {
  $("several").setAttribute("aria-pressed", String(several));
  $("several").hidden = !multilabel;
  $("enter").hidden = !several;
  for (const line of $("guesses").children) {
    const label = now.labels[Number(line.dataset.key) - 1].label;
    line.setAttribute("aria-pressed", String(chosen.has(label)));
  }
  const more = [...chosen].filter(label => !now.labels.some(found => found.label === label));
  $("enter").lastChild.textContent = more.length ? ` these and ${more.join(", ")}` : " these";
}

async function nextClip() {
  const again = $("again").checked ? "&again=yes" : "";
  const found = await ask(`/api/next?who=${encodeURIComponent(who())}${again}`);
  if (found.clip !== null) history.push(found.clip);
  showClip(found);
}

function answer(verdict, labels = []) {
  return alone(async () => {
    const said = verdict === "labels" ? labels.join(" and ") : verdict;
    showState(await ask(`/api/clips/${now.clip}/answer`, { who: who(), verdict, labels }));
    say(`Saved: ${said}.`);
    await nextClip();
  });
}

function choose(label) {
  if (!several) return answer("labels", [label]);
  if (!chosen.delete(label)) chosen.add(label);
  showChosen();
}

function back() {
  return alone(async () => {
    if (history.length < 2) { say("This is the first clip that you heard here."); return; }
    history.pop();
    showClip(await ask(`/api/clips/${history.at(-1)}?who=${encodeURIComponent(who())}`));
  });
}

function key(pressed) {
  if (!now) return false;
  if (/^[1-9]$/.test(pressed)) {
    const found = now.labels[Number(pressed) - 1];
    if (found) choose(found.label);
  } else if (pressed === "n") answer("none");
  else if (pressed === "u") answer("unsure");
  else if (pressed === "w" && now.mine) answer("withdrawn");
  else if (pressed === "b" || pressed === "Backspace") back();
  else if (pressed === "o") $("other").focus();
  else if (pressed === "s" && multilabel) { several = !several; chosen = new Set(); showChosen(); }
  else if (pressed === "Enter" && several) {
    if (chosen.size) answer("labels", [...chosen]);
    else say("Choose labels first, or n for none of these.", true);
  } else if (pressed === " ") {
    const player = document.querySelector("#clip-sound audio");
    if (player) player.paused ? player.play() : player.pause();
  } else return false;
  return true;
}

if ($("label")) {
  $("who").value = localStorage.getItem("who") || "";
  $("person").addEventListener("submit", event => {
    event.preventDefault();
    if (!who()) { say("Say who you are; the journal holds who gave each answer.", true); return; }
    localStorage.setItem("who", who());
    $("name").textContent = who();
    named(true);
    $("who").blur();
    history.length = 0;
    alone(async () => { showState(await ask(`/api/state?who=${encodeURIComponent(who())}`)); await nextClip(); });
  });
  $("rename").addEventListener("click", () => {
    named(false);
    showClip({ clip: null });
    say("");
    $("who").select();
  });
  $("label").addEventListener("click", event => {
    const button = event.target.closest("button[data-key]");
    if (button) key(button.dataset.key);
  });
  $("other").addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Escape") $("other").blur();
    if (event.key !== "Enter") return;
    const label = $("other").value.trim();
    if (!label) return;
    $("other").blur();
    $("other").value = "";
    choose(label);
  });
  document.addEventListener("keydown", event => {
    const field = event.target.closest("input, select, textarea, audio, button:not([data-key])");
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || field) return;
    if (event.target.closest("button[data-key]") && [" ", "Enter"].includes(event.key)) return;
    if (key(event.key)) event.preventDefault();
  });
}

// --- Learning

function showLearning(told) {
  const lines = told.rounds.map(round => element("tr", {},
    element("th", { scope: "row", textContent: round.model }),
    ...[round.copies ? `${round.clips} (${round.copies} more are held-out clips)` : round.clips, round.before, round.after, round.difference, `${round.seconds.toFixed(0)} s`]
      .map(text => element("td", { textContent: text }))));
  const table = element("table", {},
    element("thead", {}, element("tr", {}, ...["model", "clips labelled here", "before", "after", "difference", "time"]
      .map(text => element("th", { scope: "col", textContent: text })))),
    element("tbody", {}, ...lines));
  const parts = [];
  if (told.running) parts.push(element("p", { textContent: told.doing }));
  if (told.error) parts.push(element("p", { className: "error", textContent: told.error }));
  if (lines.length) parts.push(element("p", { textContent: told.metric }), element("div", { className: "scroll" }, table));
  $("learning").replaceChildren(...parts);
  $("learn-button").disabled = told.running;
  if (told.running) setTimeout(() => ask("/api/state").then(showState).catch(error => say(error.message, true)), 700);
}

if ($("learn")) {
  $("learn-button").addEventListener("click", () => alone(async () => showLearning(await ask("/api/learn", {}))));
  ask("/api/state").then(showState).catch(error => say(error.message, true));
}

// --- Listening

async function listen(content) {
  say("Listening …");
  const found = await ask("/api/listen", content);
  say("");
  $("found").hidden = false;
  $("found-sound").replaceChildren(...sound(found, false));
  $("found-doubt").textContent = found.doubt;
  $("found-labels").replaceChildren(...found.labels.map(label => row("", label, "div")));
  $("found-notices").replaceChildren(...found.notices.map(text => element("li", { textContent: text })));
  const near = found.neighbours.map(clip => element("li", {},
    `${clip.labels.join(", ") || "no label"} · ${clip.clip_id} · similarity ${clip.similarity.toFixed(2)}`,
    ...(clip.sound ? [element("audio", { controls: true, preload: "none", src: clip.sound })] : [])));
  $("found-near").replaceChildren(...(near.length
    ? [element("h3", { textContent: "The most similar clips of the training" }), element("ol", {}, ...near)] : []));
}

$("file").addEventListener("change", () => { if ($("file").files[0]) alone(() => listen($("file").files[0])); });
for (const kind of ["dragenter", "dragover"]) {
  $("drop").addEventListener(kind, event => { event.preventDefault(); $("drop").classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) $("drop").addEventListener(kind, () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", event => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (file) alone(() => listen(file));
});

let recorder = null;
$("record").addEventListener("click", async () => {
  if (recorder) { recorder.stop(); return; }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = event => pieces.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach(track => track.stop());
      recorder = null;
      $("record").textContent = "Record";
      $("record").setAttribute("aria-pressed", "false");
      alone(() => listen(new Blob(pieces)));
    };
    recorder.start();
    $("record").textContent = "Stop and listen";
    $("record").setAttribute("aria-pressed", "true");
  } catch (error) {
    say(`There is no microphone for this page: ${error.message}. A page that is not on this machine needs HTTPS.`, true);
  }
});
