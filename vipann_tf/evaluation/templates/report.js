// The report: links to classes, and pages of classes by the address's fragment.

const data = JSON.parse(document.getElementById("data").textContent);
const report = document.getElementById("report");
const classPage = document.getElementById("class-page");
const reportTitle = document.title;
let cameFrom = null;  // link and scroll position of the report, for the way back

const percent = (share, digits = 0) => share === null ? "–" : `${(100 * share).toFixed(digits)}\u00a0%`;
const number = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits);
const clipsOf = count => `${count.toLocaleString("en")} ${count === 1 ? "clip" : "clips"}`;

// Texts are only ever set as text, so that no label or clip id is read as HTML.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "role") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function classLink(label) {
  const link = element("a", { href: `#class-${label}`, textContent: data.labels[label] });
  link.dataset.class = label;
  return link;
}

function classLinks(labels) {
  const parts = [];
  labels.forEach((label, i) => parts.push(i ? ", " : "", classLink(label)));
  return parts;
}

function linkClasses() {
  report.querySelectorAll("span[data-class]").forEach(span => {
    span.replaceWith(classLink(Number(span.dataset.class)));
  });
}

function show() {
  const found = /^#class-(\d+)$/.exec(location.hash);
  const label = found ? Number(found[1]) : null;
  const wanted = label !== null && label < data.labels.length;
  if (wanted) {
    if (!report.hidden) cameFrom = { link: document.activeElement, top: scrollY };
    drawClassPage(label);
    document.title = `${data.labels[label]} – ${reportTitle}`;
  }
  const was = report.hidden;
  report.hidden = wanted;
  document.querySelector("body > header").hidden = wanted;
  classPage.hidden = !wanted;
  if (wanted) {
    scrollTo(0, 0);
    classPage.querySelector("h1").focus();
  } else if (was) {
    document.title = reportTitle;
    classPage.replaceChildren();
    if (cameFrom) {
      cameFrom.link?.focus({ preventScroll: true });
      scrollTo(0, cameFrom.top);
    }
  }
}

function start() {
  linkClasses();
  startTable();
  addEventListener("hashchange", show);
  show();
  startCharts();
}
