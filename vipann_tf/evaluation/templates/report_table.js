// The table of clips: sorted by any column, filtered by text, class, outcome and set.

const FIRST = 25;  // rows that are shown at first
const STEP = 100;  // and more on demand
const table = data.table;
const outcome = row => table.set[row] ? "unfamiliar" : table.truth[row].includes(table.answer[row]) ? "right" : "wrong";
const names = labels => labels.map(label => data.labels[label]).join(", ");
const SORTED_BY = {
  id: row => table.id[row],
  truth: row => names(table.truth[row]),
  answer: row => data.labels[table.answer[row]],
  right: row => outcome(row),
  p: row => table.p[row],
  total: row => table.total[row],
  aleatoric: row => table.aleatoric[row],
  epistemic: row => table.epistemic[row],
  set: row => table.set[row],
};
let order = { key: "total", down: true };
let rows = [];
let shown = FIRST;

const collator = new Intl.Collator("en", { numeric: true });

function compare(one, other) {
  const value = SORTED_BY[order.key];
  const [a, b] = [value(one), value(other)];
  const found = typeof a === "number" ? a - b : collator.compare(a, b);
  return (order.down ? -found : found) || one - other;
}

function tableRow(row) {
  const cell = (className, ...children) => element("td", { className }, ...children);
  const said = outcome(row);
  const truth = said === "unfamiliar" ? ["–"] : table.truth[row].length ? classLinks(table.truth[row]) : ["no label"];
  return element("tr", {},
    element("th", { scope: "row", textContent: table.id[row] }),
    cell("text", ...truth),
    cell("text", classLink(table.answer[row])),
    cell(`text ${said === "wrong" ? "no" : "yes"}`, said),
    cell("", percent(table.p[row], 1)),
    ...data.kinds.map(kind => cell("", number(table[kind][row]))),
    cell("text", table.sets[table.set[row]]));
}

function fillTable() {
  const body = document.querySelector("#table tbody");
  body.replaceChildren(...rows.slice(0, shown).map(tableRow));
  const more = document.getElementById("table-more");
  more.hidden = rows.length <= shown;
  more.textContent = `Show ${Math.min(STEP, rows.length - shown)} more`;
  const all = table.id.length;
  document.getElementById("table-count").textContent =
    `${rows.length === all ? clipsOf(all) : `${rows.length.toLocaleString("en")} of ${clipsOf(all)}`}`
    + (rows.length > shown ? `, the first ${shown} shown` : "");
  document.querySelectorAll("#table th[data-key]").forEach(head => {
    if (head.dataset.key === order.key) head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

function updateTable() {
  const form = document.getElementById("table-filters");
  const text = form.elements.text.value.trim().toLowerCase();
  const label = form.elements.label.value === "" ? null : Number(form.elements.label.value);
  const wanted = form.elements.outcome.value;
  const set = form.elements.set.value;
  rows = table.id.map((_, row) => row).filter(row =>
    (label === null || table.answer[row] === label || table.truth[row].includes(label))
    && (!wanted || outcome(row) === wanted)
    && (set === "" || table.set[row] === Number(set))
    && (!text || `${table.id[row]}\n${names(table.truth[row])}\n${data.labels[table.answer[row]]}`
      .toLowerCase().includes(text)));
  rows.sort(compare);
  shown = FIRST;
  fillTable();
}

function startTable() {
  const form = document.getElementById("table-filters");
  data.labels.forEach((name, i) => form.elements.label.append(element("option", { value: i, textContent: name })));
  table.sets.forEach((name, i) => form.elements.set.append(element("option", { value: i, textContent: name })));
  form.elements.set.value = 0;  // the data set's own clips, of which one knows the truth
  form.elements.set.parentElement.hidden = table.sets.length < 2;
  form.elements.outcome.querySelector("[value=unfamiliar]").hidden = table.sets.length < 2;
  form.addEventListener("input", updateTable);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  document.getElementById("table-still").hidden = true;
  document.querySelectorAll("#table th[data-key]").forEach(head => {
    const key = head.dataset.key;
    const button = element("button", { type: "button", textContent: head.textContent });
    button.addEventListener("click", () => {
      const isNumber = typeof SORTED_BY[key](0) === "number" && key !== "set";
      order = { key, down: order.key === key ? !order.down : isNumber };
      rows.sort(compare);
      fillTable();
    });
    head.replaceChildren(button);
  });
  document.getElementById("table-more").addEventListener("click", () => {
    const first = shown;
    shown += STEP;
    fillTable();
    document.querySelectorAll("#table tbody tr")[first]?.querySelector("a")?.focus();
  });
  updateTable();
}
