// The page of one class, which readers know as label: its clips, thresholds, reliability and confusions.

let classCharts = [];  // figures of the page that is shown, with their charts

const SHARE = { tickformat: ".0%", range: [0, 1.02] };
const heard = new Map(data.media.map(([id, ...media]) => [id, media]));

// The sound and picture of a clip: of a card of the report, or of those kept for class pages.
function media(id) {
  for (const card of report.querySelectorAll('.clip[data-set=""]')) {
    const picture = card.dataset.clip === id && card.querySelector("img");
    if (picture) return [picture.src, card.querySelector("audio").src];
  }
  return heard.get(id) ?? [null, null];
}

// Red where this label was missed or taken wrongly, whatever the clip's most probable label is.
function card(label, kind, [row, probability]) {
  const id = table.id[row];
  const said = table.answer[row];
  const right = table.truth[row].includes(said);
  const made = element("article", { className: `clip ${kind === "right" ? "right" : "wrong"}` });
  const [picture, sound] = media(id);
  if (picture) {
    made.append(element("img", { src: picture, alt: `Log-mel spectrogram of ${id}` }));
    const player = element("audio", { controls: true, preload: "metadata", src: sound });
    player.setAttribute("aria-label", `Play ${id}`);
    made.append(player);
  }
  const bar = element("span", { className: "bar" });
  bar.style.width = `${100 * probability}%`;
  const kinds = data.kinds.filter(kind => data.kinds.length === 1 || kind !== "total");
  made.append(
    element("div", {}, element("b", {}, ...(table.truth[row].length ? classLinks(table.truth[row]) : ["no label"])),
      ...(right ? [] : [", answered as ", classLink(said)])),
    element("ol", {}, element("li", { className: table.truth[row].includes(label) ? "yes" : "no" },
      element("span", { textContent: data.labels[label] }),
      element("span", { className: "track" }, bar), element("span", { textContent: percent(probability) }))),
    element("div", { className: "id" },
      `${kinds.map(kind => `${kind} ${number(table[kind][row], 2)}`).join(", ")} nats`, element("br"), id));
  return made;
}

function shares({ hits, detected, positives }) {
  return `precision ${detected ? percent(hits / detected) : "not defined"} (${hits} of ${detected}), `
    + `recall ${positives ? percent(hits / positives) : "not defined"} (${hits} of ${positives})`;
}

function thresholdWords(found) {
  const parts = [];
  if (found.answered) {
    parts.push(`The model answers with the most probable label and needs no threshold: ${shares(found.answered)}; `
      + "dotted lines. The curves show the label against the rest: what it would reach if it were answered wherever its probability is at least the threshold.");
  }
  if (found.chosen) {
    parts.push(`The model's threshold for detections is ${number(found.threshold)} (${data.wanted}). Here it gives `
      + `${shares(found.chosen)}; the upright line.`);
  } else if (!found.answered) {
    parts.push(data.wanted ? "No threshold was found for this label when the model was calibrated."
      : "The model has no thresholds; vipann-tf calibrate --precision chooses them.");
  }
  return parts.join(" ");
}

// A small drawing, for pages without Plotly: curves and dots of shares against a share.
function sketch(description, xTitle, curves) {
  const svg = (name, properties, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const drawn = svg("svg", { class: "sketch", viewBox: "-17 -4 123 118", role: "img", "aria-label": description });
  drawn.append(svg("rect", { width: 100, height: 100, fill: "none", stroke: "var(--grid)" }));
  for (const { points, dots, dash = "", colour } of curves) {
    if (dots) {
      points.forEach(([x, y, size]) => drawn.append(
        svg("circle", { cx: 100 * x, cy: 100 - 100 * y, r: size, fill: colour, "fill-opacity": 0.8 })));
    } else {
      const path = points.map(([x, y], i) => `${i ? "L" : "M"}${(100 * x).toFixed(2)} ${(100 - 100 * y).toFixed(2)}`);
      drawn.append(svg("path", { d: path.join(""), fill: "none", stroke: colour, "stroke-dasharray": dash }));
    }
  }
  const label = (x, y, anchor, text) => drawn.append(svg("text", { x, y, "text-anchor": anchor, fill: "var(--muted)" }, text));
  label(-1.5, 3, "end", "100 %");
  label(-1.5, 100, "end", "0 %");
  label(0, 106, "start", "0");
  label(100, 106, "end", "1");
  label(50, 112, "middle", xTitle);
  return drawn;
}

function chartFigure(still, chart, words, heads, lines) {
  const rows = lines.map(line => element("tr", {}, ...line.map((text, i) =>
    element(i ? "td" : "th", i ? { textContent: text } : { scope: "row", textContent: text }))));
  const numbers = element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map(text => element("th", { scope: "col", textContent: text })))),
    element("tbody", {}, ...rows));
  const figure = element("figure", {}, still, element("figcaption", { textContent: words }),
    element("details", {}, element("summary", { textContent: "The numbers" }),
      element("div", { className: "scroll" }, numbers)));
  classCharts.push([figure, chart]);
  return figure;
}

function thresholdFigure(found) {
  const positives = found.hits[0];
  const at = found.hits.map((_, i) => i / 100);
  const precision = found.hits.map((hits, i) => found.detected[i] ? hits / found.detected[i] : null);
  const recall = found.hits.map(hits => positives ? hits / positives : null);
  const steps = values => at.flatMap((x, i) => values[i] === null ? [] : i ? [[x - 0.01, values[i]], [x, values[i]]] : [[x, values[i]]]);
  const curves = [
    { name: "precision", values: precision, colour: "var(--right)", dash: "solid", drawn: "" },
    { name: "recall", values: recall, colour: "var(--outside-2)", dash: "dash", drawn: "7 4" },
  ];
  const traces = curves.map(({ name, values, colour, dash }) => ({
    type: "scatter", mode: "lines", x: at, y: values, name, hovertemplate: "%{y:.0%}",
    line: { shape: "vh", color: colour, dash, width: 2 },
  }));
  const shapes = [];
  const sketched = curves.map(({ values, colour, drawn }) => ({ points: steps(values), colour, dash: drawn }));
  if (found.answered) {
    const { hits, detected, positives: all } = found.answered;
    [[detected, "var(--right)"], [all, "var(--outside-2)"]].forEach(([of, color]) => {
      if (!of) return;
      shapes.push({ type: "line", x0: 0, x1: 1, y0: hits / of, y1: hits / of, line: { color, dash: "dot", width: 1.4 } });
      sketched.push({ points: [[0, hits / of], [1, hits / of]], colour: color, dash: "2 3" });
    });
  }
  if (found.chosen) {
    const x = found.threshold;
    shapes.push({ type: "line", x0: x, x1: x, y0: 0, y1: 1, line: { color: "var(--ink)", width: 1.6 } });
    sketched.push({ points: [[x, 0], [x, 1]], colour: "var(--ink)" });
  }
  const layout = {
    height: 340, hovermode: "x unified", shapes,
    xaxis: { title: { text: "threshold of the probability" }, range: [0, 1], hoverformat: ".2f" },
    yaxis: { ...SHARE },
  };
  const lines = at.map((x, i) => [x.toFixed(2), percent(precision[i]), percent(recall[i]), `${found.detected[i]}`])
    .filter((_, i) => i % 10 === 0);
  return chartFigure(
    sketch("Precision (solid) and recall (dashed) against the threshold of the probability.", "threshold", sketched),
    { data: traces, layout }, thresholdWords(found), ["threshold", "precision", "recall", "detected"], lines);
}

function reliabilityFigure(found) {
  const most = Math.max(...found.bins.map(bin => bin[2]), 1);
  const size = count => Math.sqrt(count / most);
  const traces = [
    { type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], name: "calibrated", hoverinfo: "skip",
      line: { color: "var(--ink)", dash: "dash", width: 1.2 } },
    { type: "scatter", mode: "markers", name: "clips", hoverinfo: "text",
      x: found.bins.map(bin => bin[0]), y: found.bins.map(bin => bin[1]),
      hovertext: found.bins.map(([p, share, count]) => `${clipsOf(count)}<br>mean probability ${percent(p, 1)}<br>have the label ${percent(share, 1)}`),
      marker: { color: "var(--right)", opacity: 0.8, size: found.bins.map(bin => 8 + 16 * size(bin[2])) } },
  ];
  const layout = {
    height: 340, showlegend: false, hovermode: "closest",
    xaxis: { title: { text: "mean probability" }, ...SHARE, range: [-0.03, 1.03] },
    yaxis: { title: { text: "share that have the label" }, ...SHARE, range: [-0.04, 1.06] },
  };
  const points = found.bins.map(([p, share, count]) => [p, share, 1.5 + 3 * size(count)]);
  const few = found.bins.filter(bin => bin[2] < 5).length;
  return chartFigure(
    sketch("Share of clips that have the label, against the mean probability.", "mean probability",
      [{ points: [[0, 0], [1, 1]], colour: "var(--muted)", dash: "6 4" }, { points, dots: true, colour: "var(--right)" }]),
    { data: traces, layout },
    `Dots on the dashed line are calibrated; larger ones hold more clips.`
      + (few ? ` ${few} of ${found.bins.length} dots hold fewer than 5 clips and say little.` : ""),
    ["mean probability", "have the label", "clips"],
    found.bins.map(([p, share, count]) => [percent(p, 1), percent(share, 1), `${count}`]));
}

function confusions(title, pairs) {
  if (!pairs.length) return element("div", {}, element("h3", { textContent: title }), element("p", { textContent: "None." }));
  return element("div", {}, element("h3", { textContent: title }), element("table", {}, element("tbody", {},
    ...pairs.map(([label, count]) => element("tr", {},
      element("th", { scope: "row" }, classLink(label)), element("td", { textContent: clipsOf(count) }))))));
}

function section(title, ...parts) {
  return element("section", {}, element("h2", { textContent: title }), ...parts);
}

function plotClassPage() {
  classCharts.forEach(([figure, chart]) => plot(figure, chart));
}

function drawClassPage(label) {
  if (plotly) forget(classPage);
  classCharts = [];
  const found = data.classes[label];
  const count = data.labels.length;
  const step = (to, text) => element("a", { href: `#class-${to}`, textContent: `${text}: ${data.labels[to]}` });
  const groups = [
    ["right", data.ruled[label] ? "Surest of those that are right" : "Has the label, highest probability"],
    ["missed", data.ruled[label] ? "Missed, least probable first" : "Has the label, lowest probability"],
    ["false_alarms", data.ruled[label] ? "Taken for it wrongly, most probable first" : "Lacks the label, highest probability"],
  ];
  const ids = groups.flatMap(([kind]) => found[kind].map(([row]) => table.id[row]));
  const sounds = ids.filter(id => media(id)[0]).length;
  const anySound = data.media.length || report.querySelector("audio");
  const sounding = anySound && sounds < ids.length
    ? [element("p", { className: "quiet", textContent: `The page holds the sound of ${sounds} of these ${ids.length} clips, so that it stays small.` })] : [];
  const clips = groups.flatMap(([kind, title]) => found[kind].length
    ? [element("h3", { textContent: title }), element("div", { className: "clips" }, ...found[kind].map(each => card(label, kind, each)))]
    : []);
  classPage.replaceChildren(
    element("nav", { "aria-label": "Labels" },
      element("a", { href: "#", textContent: "Back to the report" }),
      ...(count > 1 ? [step((label + count - 1) % count, "Previous"), step((label + 1) % count, "Next")] : [])),
    element("h1", { textContent: data.labels[label], tabIndex: -1 }),
    element("p", { className: "quiet numbers", textContent: found.numbers }),
    section("At which threshold?", element("div", { className: "pair" }, thresholdFigure(found), reliabilityFigure(found))),
    section("Its clips", ...sounding, ...(clips.length ? clips : [element("p", { textContent: "No clip has it or was taken for it." })])),
    section("What it is confused with", element("div", { className: "pair" },
      confusions("Its clips, if answered wrongly, were answered as", found.answered_as),
      confusions("Clips that were wrongly answered as it have", found.mistaken))));
  if (plotly) plotClassPage();
}
