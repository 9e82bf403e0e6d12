// Drawn figures become charts to point at, if the page holds Plotly and the browser can unpack it.

const charts = new Map();  // place -> Plotly's traces and layout
let plotly = null;         // the library, once it is unpacked

const AXIS = {
  automargin: true, gridcolor: "var(--grid)", zeroline: false, linecolor: "var(--grid)",
  tickfont: { color: "var(--muted)" },
};
const LAYOUT = {
  autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  margin: { l: 10, r: 12, t: 12, b: 10 }, font: { color: "var(--ink)", size: 13 },
  legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
  hoverlabel: {
    bgcolor: "var(--surface)", bordercolor: "var(--muted)", align: "left", namelength: -1,
    font: { color: "var(--ink)" },
  },
};
const CONFIG = { displayModeBar: false, responsive: false, showTips: false };

// Plotly reads a few HTML elements in texts.
const plainText = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

async function unpackPlotly() {
  const held = document.getElementById("plotly");
  if (!held || typeof DecompressionStream === "undefined") return null;
  const bytes = Uint8Array.from(atob(held.textContent), character => character.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = element("script", { textContent: await new Response(unpacked).text() });
  document.head.append(script);  // the page's policy allows it by its hash
  held.remove();
  return window.Plotly ?? null;
}

// Replaces colours of the style sheet by their values now.
function themed(value, style) {
  if (typeof value === "string") {
    return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }
  if (Array.isArray(value)) return value.map(each => themed(each, style));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, themed(each, style)]));
}

function draw(place) {
  const { data: traces, layout } = charts.get(place);
  const axes = Object.fromEntries(Object.entries(layout).filter(([key]) => /^[xy]axis/.test(key))
    .map(([key, axis]) => [key, { ...AXIS, ...axis, title: { ...axis.title, font: { size: 13 } } }]));
  const fonts = { ...LAYOUT.font, family: getComputedStyle(document.body).fontFamily };
  // A finger on a chart scrolls the page; a mouse may zoom into it.
  const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  const whole = { ...LAYOUT, font: fonts, dragmode, ...layout, ...axes };
  const style = getComputedStyle(document.documentElement);
  return plotly.react(place, themed(traces, style), themed(whole, style), CONFIG);
}

// What is hidden has no width; it is drawn when it is shown first.
const sizes = new ResizeObserver(entries => {
  for (const { target, contentRect } of entries) {
    if (!contentRect.width || !charts.has(target)) continue;
    if (target.querySelector(".main-svg")) plotly.Plots.resize(target);
    else draw(target);
  }
});

function plot(figure, chart) {
  const still = figure.querySelector("svg");
  const place = element("div", { className: "plot", role: "img" });
  place.setAttribute("aria-label", still.getAttribute("aria-label"));
  charts.set(place, chart);
  still.before(place);
  figure.classList.add("plotted");
  sizes.observe(place);
}

function forget(part) {
  part.querySelectorAll(".plot").forEach(place => {
    sizes.unobserve(place);
    plotly.purge(place);
    charts.delete(place);
  });
}

async function startCharts() {
  plotly = await unpackPlotly();
  if (!plotly) return;
  report.querySelectorAll("figure[data-chart]").forEach(figure => {
    plot(figure, data.charts[figure.dataset.chart]);
  });
  if (!classPage.hidden) plotClassPage();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of charts.keys()) if (place.querySelector(".main-svg")) draw(place);
  });
}
