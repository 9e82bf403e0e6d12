/* The picture of a timeline's page. Times are seconds of the recording. The page puts player.js behind it, in one function. */
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const stage = $("stage"), seconds = data.seconds;
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const floats = text => new Float32Array(bytes(text).buffer);
const begins = floats(data.begin_s), ends = floats(data.end_s);
const FULL = 254, NONE = 255;
const LANE = 44, SOUND = 116, DOUBT = 40, AXIS = 22;
const state = { now: 0, from: 0, to: seconds, chosen: null, current: -1, playing: false };
const told = text => { $("told").textContent = text; };
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/* Words for times. */
const pad = x => String(x).padStart(2, "0");
function clock(t, digits) {
  const time = new Date(data.begin_ms + Math.round(1000 * t));
  const text = `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}`;
  if (digits < 0) return text;
  const rest = digits ? "." + String(Math.floor(time.getUTCMilliseconds() / 100)) : "";
  return `${text}:${pad(time.getUTCSeconds())}${rest}`;
}
function since(t, digits) {
  const unit = 10 ** Math.max(digits, 0), all = Math.round(t * unit);
  const s = Math.floor(all / unit), rest = digits > 0 ? "." + String(all % unit).padStart(digits, "0") : "";
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return (h ? `${h}:${pad(m)}` : String(m)) + `:${pad(s % 60)}${rest}`;
}

/* Rows: one lane for each label, the spectrogram, the doubts, the axis. */
const rows = [];
function addRow(height, name, words, draw) {
  const box = document.createElement("div"), canvas = document.createElement("canvas");
  box.className = "row";
  const row = { canvas, height, draw, value: null, box };
  if (name) {
    const head = document.createElement("div"), label = document.createElement("b");
    head.className = "head";
    label.textContent = label.title = name;
    const more = document.createElement("span");
    more.textContent = more.title = words;
    row.value = document.createElement("output");
    row.value.setAttribute("aria-hidden", "true"); // the stage tells the values at the cursor
    head.append(label, more, row.value);
    box.append(head);
  }
  canvas.style.height = `${height}px`;
  canvas.setAttribute("aria-hidden", "true");
  box.append(canvas);
  stage.append(box);
  rows.push(row);
  return row;
}
const x = (t, width) => (t - state.from) / (state.to - state.from) * width;
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "grid", "right", "wrong", "outside-2", "surface"])
    colours[name] = style.getPropertyValue(`--${name}`).trim();
}
/* First step that ends behind a time. */
function stepAt(t) {
  let low = 0, high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > t) high = middle; else low = middle + 1;
  }
  return low;
}
/* Highest value of each pixel's steps, with the step that has it; -1 where there is none. */
function pixels(values, width) {
  const best = new Int32Array(width).fill(-1);
  for (let i = stepAt(state.from); i < begins.length && begins[i] < state.to; i++) {
    if (values[i] === NONE) continue;
    const first = Math.max(Math.round(x(begins[i], width)), 0);
    const last = Math.min(Math.max(Math.round(x(ends[i], width)), first + 1), width);
    for (let p = first; p < last; p++)
      if (best[p] < 0 || values[i] > values[best[p]]) best[p] = i;
  }
  return best;
}
function trace(context, values, low, high, width, height, colour) {
  const best = pixels(values, width), y = v => height - 1 - v / FULL * (height - 2);
  context.fillStyle = colour;
  context.globalAlpha = low ? 0.3 : 0.15; // a band, or merely what is below
  for (let p = 0; p < width; p++) {
    const i = best[p];
    if (i < 0) continue;
    const top = y(high ? high[i] : values[i]), bottom = y(low ? low[i] : 0);
    context.fillRect(p, top, 1, Math.max(bottom - top, 0));
  }
  context.globalAlpha = 1;
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let p = 0; p < width; p++) {
    if (best[p] < 0) continue;
    const v = y(values[best[p]]);
    if (p && best[p - 1] >= 0) context.lineTo(p, v); else context.moveTo(p, v);
    context.lineTo(p + 1, v);
  }
  context.stroke();
}
function level(context, y, width, colour, dash) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(width, y);
  context.stroke();
  context.setLineDash([]);
}
function small(context, text, left, y) {
  context.font = "10px system-ui, sans-serif";
  const width = context.measureText(text).width;
  context.globalAlpha = 0.75;
  context.fillStyle = colours.surface;
  context.fillRect(left, y - 9, width + 4, 12);
  context.globalAlpha = 1;
  context.fillStyle = colours.muted;
  context.fillText(text, left + 2, y);
}
for (const [number, lane] of data.lanes.entries()) {
  for (const kind of ["probability", "low", "high"]) lane[kind] = lane[kind] && bytes(lane[kind]);
  const threshold = lane.threshold;
  const words = lane.words + (threshold === null ? "" : `; threshold ${+(100 * threshold).toFixed(1)} %`);
  const row = addRow(LANE, lane.label, words, (context, width) => {
    const height = LANE - 6, colour = lane.found ? colours.right : colours.muted;
    for (const y of [0.5, height - 0.5]) level(context, y, width, colours.grid, []);
    context.fillStyle = colour;
    for (const [begin, end] of lane.marks) {
      if (end < state.from || begin > state.to) continue;
      const left = x(begin, width), wide = Math.max(x(end, width) - left, 2);
      context.globalAlpha = 0.13;
      context.fillRect(left, 0, wide, height);
      context.globalAlpha = 1;
      context.fillRect(left, height + 1, wide, 4);
    }
    trace(context, lane.probability, lane.low, lane.high, width, height, colour);
    if (threshold !== null)
      level(context, height - 1 - threshold * (height - 2), width, colours.ink, [5, 4]);
    if (!number) { small(context, "100 %", 1, 10); small(context, "0", 1, height - 2); }
  });
  row.values = lane.probability;
  row.show = v => `${Math.round(100 * v / FULL)} %`;
}
/* The spectrogram: grey levels that become colours once columns that share a pixel gave a maximum. */
const grey = new Image(), palette = data.palette.map(text => parseInt(text.slice(1), 16));
grey.onload = () => draw();
grey.src = data.log_mel;
function spectrogram(width) {
  const canvas = document.createElement("canvas"), all = grey.naturalWidth;
  canvas.width = width;
  canvas.height = data.bands;
  const context = canvas.getContext("2d"), shown = (state.to - state.from) / seconds * all;
  const first = state.from / seconds * all;
  context.imageSmoothingEnabled = false;
  context.globalCompositeOperation = "lighten";
  for (let shift = 0; shift < Math.max(shown / width, 1); shift++) {
    const from = Math.min(first + shift, all - 1), wide = Math.min(shown, all - from);
    context.drawImage(grey, from, 0, wide, data.bands, 0, 0, width * wide / shown, data.bands);
  }
  const pixels = context.getImageData(0, 0, width, data.bands);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const colour = palette[pixels.data[i]];
    pixels.data[i] = colour >> 16;
    pixels.data[i + 1] = (colour >> 8) & 255;
    pixels.data[i + 2] = colour & 255;
    pixels.data[i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
addRow(SOUND, "log-mel spectrogram", "what the model sees", (context, width) => {
  if (!grey.complete || !grey.naturalWidth) return;
  context.imageSmoothingEnabled = false;
  context.drawImage(spectrogram(Math.round(width)), 0, 0, width, SOUND);
  for (const [band, words] of data.frequencies)
    small(context, words, 1, SOUND - (band + 0.5) / data.bands * SOUND + 4);
});
const strip = document.createElement("div");
strip.className = "sound";
strip.setAttribute("aria-hidden", "true");
if (data.sounds.length) rows[rows.length - 1].box.append(strip);
for (const doubt of data.doubts) {
  const values = bytes(doubt.values), mine = doubt.name === "epistemic";
  const words = `${mine ? "the model's" : "the sound's"} doubt; to ${doubt.most.toPrecision(2)} nats`;
  const row = addRow(DOUBT, `${doubt.name} uncertainty`, words, (context, width) => {
    level(context, DOUBT - 0.5, width, colours.grid, []);
    trace(context, values, null, null, width, DOUBT - 1, colours[mine ? "wrong" : "outside-2"]);
  });
  row.values = values;
  row.show = v => `${(v / FULL * doubt.most).toFixed(3)} nats`;
}
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
  21600, 43200, 86400, 172800, 345600];
addRow(AXIS, "", "", (context, width) => {
  const span = state.to - state.from, most = Math.max(2, width / 90);
  const step = STEPS.find(s => span / s <= most) || STEPS[STEPS.length - 1];
  const offset = data.begin_ms === null ? 0 : (data.begin_ms / 1000) % 86400;
  const digits = step < 1 ? 1 : data.begin_ms !== null && step >= 60 ? -1 : 0;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = context.strokeStyle = colours.muted;
  context.lineWidth = 1;
  for (let k = Math.ceil((state.from + offset) / step - 1e-9); k * step - offset <= state.to + 1e-9; k++) {
    const t = k * step - offset, at = x(t, width);
    const text = data.begin_ms === null ? since(t, digits) : clock(t, digits);
    const half = context.measureText(text).width / 2;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, 5);
    context.stroke();
    context.fillText(text, clamp(at - half, 0, width - 2 * half), 18);
  }
});

/* Drawing. */
const cursor = document.createElement("div"), chosen = document.createElement("div");
cursor.className = "cursor";
chosen.className = "chosen";
stage.append(chosen, cursor);
function draw() {
  const width = stage.clientWidth, ratio = window.devicePixelRatio || 1;
  readColours();
  for (const row of rows) {
    row.canvas.width = Math.round(width * ratio);
    row.canvas.height = Math.round(row.height * ratio);
    const context = row.canvas.getContext("2d");
    context.scale(ratio, ratio);
    row.draw(context, width);
  }
  strip.textContent = "";
  for (const [begin, end] of data.sounds) {
    if (end < state.from || begin > state.to) continue;
    const part = document.createElement("i");
    part.style.left = `${100 * x(begin, 1)}%`;
    part.style.width = `${100 * (x(end, 1) - x(begin, 1))}%`;
    strip.append(part);
  }
  const zoomed = state.to - state.from < seconds * 0.9999;
  $("view").hidden = !zoomed;
  if (zoomed) $("view").value = state.from / (seconds - (state.to - state.from));
  $("all").disabled = $("out").disabled = !zoomed;
  place();
}
function place() {
  const width = stage.clientWidth, at = x(state.now, width);
  cursor.style.left = `${at}px`;
  cursor.hidden = at < -1 || at > width + 1;
  const [begin, end] = state.chosen || [0, 0];
  const left = clamp(x(begin, width), 0, width), right = clamp(x(end, width), 0, width);
  chosen.style.left = `${left}px`;
  chosen.style.width = `${right - left}px`;
  chosen.hidden = !state.chosen || right <= left;
  $("fit").disabled = !state.chosen;
  $("save").disabled = !state.chosen || !data.sounds.length;
  const step = stepAt(state.now), inside = step < begins.length && begins[step] <= state.now;
  for (const row of rows)
    if (row.value) row.value.textContent = row.values && inside && row.values[step] !== NONE ? row.show(row.values[step]) : "";
  const time = since(state.now, 1) + (data.begin_ms === null ? "" : ` (${clock(state.now, 0)})`);
  $("now").textContent = time;
  if (state.playing) return; // nobody wants the cursor read out many times a second
  const heard = data.lanes.filter(lane => lane.marks.some(([b, e]) => b <= state.now && state.now < e));
  stage.setAttribute("aria-valuenow", state.now.toFixed(3));
  stage.setAttribute("aria-valuetext", `${time}: ${heard.map(lane => lane.label).join(", ") || "no detection"}`);
}
