/* Cursor, view, player and export of a timeline's page; picture.js comes before. */
const least = Math.min(seconds, Math.max(0.2, seconds / 20000)); // the closest view
function setView(from, to) {
  const span = clamp(to - from, least, seconds);
  state.from = clamp(from, 0, seconds - span);
  state.to = state.from + span;
  draw();
}
function zoom(factor) {
  const inside = state.now >= state.from && state.now <= state.to;
  const at = inside ? state.now : (state.from + state.to) / 2;
  const share = (at - state.from) / (state.to - state.from);
  const span = clamp((state.to - state.from) * factor, least, seconds);
  setView(at - share * span, at - share * span + span);
}
/* Bring a place into view without a change of zoom. */
function reveal(t) {
  const span = state.to - state.from;
  if (t < state.from || t > state.to) setView(t - span * 0.1, t + span * 0.9); else place();
}
function choose(begin, end) {
  const [from, to] = [clamp(Math.min(begin, end), 0, seconds), clamp(Math.max(begin, end), 0, seconds)];
  state.chosen = to > from ? [from, to] : null;
  if (state.chosen)
    told(`Stretch from ${since(from, 2)} to ${since(to, 2)}, ${(to - from).toFixed(2)} s.`);
  place();
}

/* Sound: the stretches that the page holds, and where there is none the recording itself, if it is where it was. */
const audio = new Audio(), addresses = new Map(), FILE = data.sounds.length;
let file = data.file ? "unknown" : "none"; // or "works"
const beginOf = number => (number === FILE ? 0 : data.sounds[number][0]);
function soundAt(t) {
  if (file === "works") return FILE;
  const number = data.sounds.findIndex(([begin, end]) => begin <= t && t < end);
  return number < 0 && file === "unknown" ? FILE : number;
}
function load(number) {
  if (number === state.current) return;
  state.current = number;
  if (number === FILE) {
    audio.src = data.file;
    return;
  }
  const [, , mime, text] = data.sounds[number];
  if (!addresses.has(number))
    addresses.set(number, URL.createObjectURL(new Blob([bytes(text)], { type: mime })));
  audio.src = addresses.get(number);
}
function seek(t) {
  state.now = clamp(t, 0, seconds);
  const number = soundAt(state.now);
  if (number === FILE && !state.playing && number !== state.current) audio.pause(); // no file is asked for before it is played
  else if (number >= 0) {
    load(number);
    audio.currentTime = (state.now - beginOf(number)) * data.expansion;
    if (state.playing) audio.play().catch(failed);
  } else if (state.playing) stop();
  reveal(state.now);
}
function failed(error) {
  // The next sound was asked for, or `onerror` tells.
  if (["AbortError", "NotSupportedError"].includes(error.name)) return;
  stop();
  told(`The sound can't be played: ${error.message}`);
}
function noFile(why) {
  file = "none";
  state.current = -1;
  stop();
  told(why + (data.sounds.length ? " The green stretches can be heard." : ""));
}
audio.onerror = () => {
  if (state.current === FILE) noFile(`The recording can't be played from ${decodeURIComponent(data.file)}, seen from this page.`);
  else if (state.current >= 0) {
    stop();
    told("The sound can't be played: your browser does not know its kind.");
  }
};
audio.onloadedmetadata = () => {
  if (state.current !== FILE) return;
  if (Math.abs(audio.duration - seconds) > 1 + 0.01 * seconds)
    noFile(`${decodeURIComponent(data.file)} lasts ${since(audio.duration, 1)} for your browser, and ${since(seconds, 1)} was heard, so it is not played.`);
  else file = "works";
};
function play() {
  if (!data.sounds.length && file === "none") return;
  let number = soundAt(state.now);
  state.playing = true;
  if (number < 0) {
    number = Math.max(data.sounds.findIndex(([begin]) => begin >= state.now), 0);
    if (state.now < seconds) // at its end a recording begins anew
      told(`There is no sound of ${since(state.now, 0)} in this page; it goes on at ${since(data.sounds[number][0], 0)}.`);
    seek(data.sounds[number][0]);
  } else if (number !== state.current) seek(state.now);
  else audio.play().catch(failed);
  $("play").textContent = "Pause";
  requestAnimationFrame(follow);
}
function stop() {
  state.playing = false;
  $("play").textContent = "Play";
  audio.pause();
  place();
}
function follow() {
  if (!state.playing) return;
  if (!audio.seeking && audio.readyState > 1) {
    state.now = Math.min(beginOf(state.current) + audio.currentTime / data.expansion, seconds);
    reveal(state.now);
  }
  requestAnimationFrame(follow);
}
audio.onended = () => {
  const next = state.current + 1;
  if (state.playing && next < data.sounds.length) seek(data.sounds[next][0]); else stop();
};
$("play").onclick = () => (state.playing ? stop() : play());

/* Export: cut out of the decoded sound. */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((s, i) => view.setInt16(44 + 2 * i, Math.round(clamp(s, -1, 1) * 32767), true));
  return new Blob([view], { type: "audio/wav" });
}
async function cut() {
  const [from, to] = state.chosen;
  const overlap = ([begin, end]) => Math.min(end, to) - Math.max(begin, from);
  const best = data.sounds.reduce((a, b) => (overlap(b) > overlap(a) ? b : a));
  if (overlap(best) <= 0) {
    told("There is no sound of this stretch in the page; the green ones can be saved.");
    return null;
  }
  const [begin, end, , text] = best;
  const context = new OfflineAudioContext(1, 1, data.rate_hz);
  const decoded = (await context.decodeAudioData(bytes(text).buffer)).getChannelData(0);
  const [first, last] = [Math.max(begin, from), Math.min(end, to)];
  const sample = t => Math.round((t - begin) * data.expansion * data.rate_hz);
  const samples = new Float32Array(sample(last) - sample(first)); // silence behind what is decoded
  samples.set(decoded.subarray(sample(first), sample(last)));
  return { file: wav(samples, data.rate_hz), name: `${data.name}_${first.toFixed(2)}-${last.toFixed(2)}s.wav`, first, last };
}
async function save() {
  if (!state.chosen || !data.sounds.length) return;
  try {
    const made = await cut();
    if (!made) return;
    const link = document.createElement("a"), [from, to] = state.chosen;
    link.href = URL.createObjectURL(made.file);
    link.download = made.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const part = made.first > from + 0.005 || made.last < to - 0.005;
    told(`Saved ${made.name}${part ? ": the page has no more sound of this stretch" : ""}.`);
  } catch (error) {
    told(`The sound can't be decoded: ${error.message}`);
  }
}

/* Detections one behind the other. */
const marks = data.lanes.flatMap(lane => lane.marks.map(mark => [...mark, lane.label])).sort((a, b) => a[0] - b[0]);
function visit(begin, end, label) {
  choose(begin, end);
  seek(begin);
  told(`${label || "Detection"}, ${since(begin, 1)} to ${since(end, 1)}.` +
    (soundAt(begin) < 0 && data.sounds.length ? " Its sound is not in this page." : ""));
}
function step(way) {
  const next = way > 0 ? marks.find(([b]) => b > state.now + 0.001) : marks.filter(([b]) => b < state.now - 0.001).pop();
  if (next) visit(next[0], next[1], next[3]); else told("There is no further detection.");
}
$("after").onclick = () => step(1);
$("before").onclick = () => step(-1);
$("in").onclick = () => zoom(0.5);
$("out").onclick = () => zoom(2);
$("all").onclick = () => setView(0, seconds);
const fit = () => {
  if (!state.chosen) return;
  const [begin, end] = state.chosen, room = (end - begin) * 0.05;
  setView(begin - room, end + room);
};
$("fit").onclick = fit;
$("save").onclick = save;
$("view").oninput = () => {
  const span = state.to - state.from, from = $("view").value * (seconds - span);
  setView(from, from + span);
};
for (const button of document.querySelectorAll("button[data-begin]"))
  button.onclick = () => {
    const [begin, end] = [+button.dataset.begin, +button.dataset.end];
    visit(begin, end, button.closest("tr").querySelector(".label").textContent);
    stage.scrollIntoView({ block: "nearest" });
  };

/* Pointer: a click seeks, a drag chooses a stretch; wheel with Ctrl zooms. */
let pressed = null;
const timeOf = event => {
  const box = stage.getBoundingClientRect();
  return clamp(state.from + (event.clientX - box.left) / box.width * (state.to - state.from), 0, seconds);
};
stage.onpointerdown = event => {
  if (event.button) return;
  pressed = { x: event.clientX, t: timeOf(event), drag: false };
  stage.setPointerCapture(event.pointerId);
};
stage.onpointermove = event => {
  if (!pressed) return;
  pressed.drag = pressed.drag || Math.abs(event.clientX - pressed.x) > 5;
  if (pressed.drag) choose(pressed.t, timeOf(event));
};
stage.onpointerup = event => {
  if (pressed && !pressed.drag) seek(timeOf(event));
  pressed = null;
};
stage.onpointercancel = () => { pressed = null; };
stage.addEventListener("wheel", event => {
  const span = state.to - state.from;
  if (event.ctrlKey) {
    event.preventDefault();
    const t = timeOf(event), factor = event.deltaY > 0 ? 1.25 : 0.8;
    setView(t - (t - state.from) * factor, t + (state.to - t) * factor);
  } else if (event.deltaX && span < seconds) {
    event.preventDefault();
    const moved = event.deltaX / stage.clientWidth * span;
    setView(state.from + moved, state.to + moved);
  }
}, { passive: false });

const keys = {
  " ": () => (state.playing ? stop() : play()),
  ArrowLeft: far => seek(state.now - (state.to - state.from) * (far ? 0.1 : 0.01)),
  ArrowRight: far => seek(state.now + (state.to - state.from) * (far ? 0.1 : 0.01)),
  Home: () => seek(0),
  End: () => seek(seconds),
  n: () => step(1),
  p: () => step(-1),
  "[": () => choose(state.now, state.chosen ? state.chosen[1] : seconds),
  "]": () => choose(state.chosen ? state.chosen[0] : 0, state.now),
  "+": () => zoom(0.5),
  "=": () => zoom(0.5),
  "-": () => zoom(2),
  0: () => setView(0, seconds),
  z: fit,
  s: save,
};
document.addEventListener("keydown", event => {
  const focused = document.activeElement;
  if (focused !== stage && focused !== document.body) return;
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (focused !== stage && ["Home", "End"].includes(event.key)) return; // they scroll the page
  event.preventDefault();
  keys[event.key](event.shiftKey);
});
let drawn = 0; // width; the height changes by drawing itself
new ResizeObserver(() => {
  if (stage.clientWidth !== drawn) {
    drawn = stage.clientWidth;
    draw();
  }
}).observe(stage);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
