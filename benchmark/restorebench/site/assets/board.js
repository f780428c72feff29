"use strict";
// The table of a board: filter, sort, and draw intervals. All numbers are in the page.
(() => {
  const WIDTH = 150, HEIGHT = 16, MARGIN = 8, BEYOND = 0.6, MOST_SHOWN = 200;
  const MINUS = "\u2212";
  const byId = (id) => document.getElementById(id);
  const { columns, rows: scored } = JSON.parse(byId("scores").textContent);
  const table = byId("rows");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator(undefined, { numeric: true });
  const number = (text) => (text === "" || text == null ? null : Number(text));
  const rows = [...body.rows].map((tr, position) => {
    const [name, place, score, interval, group, gain, harm, images] = tr.cells;
    const text = `${name.firstElementChild.textContent} ${name.lastElementChild.textContent}`;
    const values = scored[tr.id].map((each) => each && { value: Number(each[0]), low: number(each[1]),
      high: number(each[2]), best: each[3] === 1, letters: each[4] });
    return { tr, position, values, score, interval, group, metric: 0, drawn: "", text, search: text.toLowerCase(),
      place: tr.dataset.place, family: tr.dataset.family, captured: "captured" in tr.dataset,
      gain: number(gain.dataset.v), harm: number(harm.dataset.v),
      images: number(images.dataset.v) };
  });
  const controls = { place: byId("place"), metric: byId("metric"), family: byId("family"), name: byId("name"),
    captured: byId("captured") };
  let most = MOST_SHOWN;
  const order = { key: "score", ascending: false };

  const format = (value, decimals) => {
    if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
    return value.toFixed(decimals).replace("-", MINUS);
  };
  const score = (row) => row.values[controls.metric.value] ?? null;
  const column = () => columns[controls.metric.value] ?? { name: "no metric", unit: "", decimals: 2, higher: true };

  const keys = {
    name: (row) => row.text,
    place: (row) => Number(row.place),
    score: (row) => score(row)?.value ?? null,
    group: (row) => score(row)?.letters || null,
    gain: (row) => row.gain,
    harm: (row) => row.harm,
    images: (row) => row.images,
  };

  function compare(a, b) {
    // Scores of different tasks say nothing about each other.
    if (order.key === "score" && a.place !== b.place) return Number(a.place) - Number(b.place);
    const first = keys[order.key](a), second = keys[order.key](b);
    if (first === null || second === null) { // what has no value comes last in both directions
      return first === second ? a.position - b.position : first === null ? 1 : -1;
    }
    const difference = typeof first === "string" ? collator.compare(first, second) : first - second;
    return (order.ascending ? difference : -difference) || a.position - b.position;
  }

  function wanted(row) {
    const { place, family, name, captured } = controls;
    return (place.value === "all" || row.place === place.value)
      && (family.value === "all" || row.family === family.value)
      && (!captured?.checked || row.captured)
      && row.search.includes(name.value.trim().toLowerCase());
  }

  function scaleOf(shown) {
    const found = shown.map(score).filter((each) => each && Number.isFinite(each.value));
    if (!found.length) return null;
    const means = found.map((each) => each.value);
    let low = Math.min(...means), high = Math.max(...means);
    const span = high - low || Math.abs(high) * 0.05 || 1;
    const lows = found.map((each) => each.low ?? each.value), highs = found.map((each) => each.high ?? each.value);
    low = Math.max(Math.min(...lows), low - BEYOND * span);
    high = Math.min(Math.max(...highs), high + BEYOND * span);
    return high > low ? { low, high } : { low: low - span / 2, high: high + span / 2 };
  }

  function element(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  }

  function marker(family, x, best) {
    const y = HEIGHT / 2, kind = best ? "filled" : "hollow";
    if (family === "blind") return element("circle", { cx: x, cy: y, r: 4, class: kind });
    if (family === "told") {
      return element("path", { d: `M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z`, class: kind });
    }
    return element("path", { d: `M${x - 4} ${y - 4}h8v8h-8z`, class: kind });
  }

  function draw(row, scale) {
    const found = score(row);
    const key = scale && found ? `${controls.metric.value} ${scale.low} ${scale.high}` : "none";
    if (row.drawn === key) return;
    row.drawn = key;
    row.interval.querySelector("svg")?.remove();
    if (key === "none" || !Number.isFinite(found.value)) return;
    const at = (value) => {
      const share = (value - scale.low) / (scale.high - scale.low);
      return MARGIN + Math.min(1, Math.max(0, share)) * (WIDTH - 2 * MARGIN);
    };
    const picture = element("svg", { class: "ci", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      "aria-hidden": "true" });
    if (found.low !== null && found.high !== null) {
      const y = HEIGHT / 2;
      picture.append(element("line", { x1: at(found.low), x2: at(found.high), y1: y, y2: y }));
      if (found.low < scale.low) picture.append(element("path", { class: "beyond", d: `M0 ${y}l7 -4v8z` }));
      if (found.high > scale.high) picture.append(element("path", { class: "beyond", d: `M${WIDTH} ${y}l-7 -4v8z` }));
    }
    picture.append(marker(row.family, at(found.value), found.best));
    row.interval.prepend(picture);
  }

  function write(row) { // the numbers of the chosen metric
    if (row.metric === controls.metric.value) return;
    row.metric = controls.metric.value;
    const found = score(row), { decimals } = column();
    row.score.textContent = found ? format(found.value, decimals) : "–";
    row.score.classList.toggle("winner", Boolean(found?.best));
    row.group.textContent = found?.letters ?? "";
    row.interval.replaceChildren();
    row.drawn = "";
    if (found && found.low !== null && found.high !== null) {
      const ends = document.createElement("span");
      ends.className = "ends";
      ends.textContent = `${format(found.low, decimals)} to ${format(found.high, decimals)}`;
      row.interval.append(ends);
    }
  }

  function show() {
    const found = rows.filter(wanted).sort(compare), shown = found.slice(0, most), there = new Set(shown);
    for (const row of rows) {
      if (row.tr.hidden === there.has(row)) row.tr.hidden = !row.tr.hidden;
    }
    body.append(...shown.map((row) => row.tr));
    const scales = new Map(); // each task has its own
    for (const { place } of shown) {
      if (!scales.has(place)) scales.set(place, scaleOf(shown.filter((row) => row.place === place)));
    }
    for (const row of shown) {
      write(row);
      draw(row, scales.get(row.place));
    }
    table.classList.toggle("one-place", controls.place.value !== "all");
    const { decimals, unit, name } = column(), [scale] = scales.values();
    byId("scale").textContent = scales.size > 1 ? "on a scale for each task"
      : scale ? `${format(scale.low, decimals)} to ${format(scale.high, decimals)} ${unit}`.trim() : "";
    const count = found.length.toLocaleString("en"), what = found.length === 1 ? "1 row" : `${count} rows`;
    byId("more").hidden = found.length <= most;
    byId("more").textContent = `Show all ${count} rows`;
    byId("count").textContent = `${what} of ${rows.length.toLocaleString("en")}, ${name}`;
  }

  function mark() {
    for (const head of heads) {
      if (head.dataset.key === order.key) head.setAttribute("aria-sort", order.ascending ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  }

  function bestFirst() {
    order.key = "score";
    order.ascending = !column().higher;
    mark();
  }

  for (const head of heads.filter((each) => each.dataset.key)) {
    head.querySelector("button").addEventListener("click", () => {
      const { key } = head.dataset;
      const texts = key === "name" || key === "place" || key === "group";
      order.ascending = order.key === key ? !order.ascending : key === "score" ? !column().higher : texts || key === "harm";
      order.key = key;
      mark();
      show();
    });
  }
  controls.place.addEventListener("change", () => show());
  controls.family.addEventListener("change", () => show());
  controls.captured?.addEventListener("change", () => {
    const chosen = rows.some((row) => row.captured && row.place === controls.place.value);
    if (controls.captured.checked && !chosen) controls.place.value = "all";
    show();
  });
  controls.name.addEventListener("input", () => show());
  controls.metric.addEventListener("change", () => {
    if (order.key === "score") bestFirst();
    show();
  });

  function follow() { // a link to a row shows it, whatever is filtered
    const row = rows.find((each) => `#${each.tr.id}` === location.hash);
    if (!row) return;
    if (row.tr.hidden) {
      controls.place.value = row.place;
      controls.family.value = "all";
      most = Infinity;
      controls.name.value = "";
      if (controls.captured) controls.captured.checked = false;
      show();
    }
    row.tr.scrollIntoView({ block: "center" });
  }

  byId("more").addEventListener("click", () => {
    most = Infinity;
    show();
  });
  for (const row of rows) row.metric = controls.metric.value;
  byId("filters").hidden = false;
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  bestFirst();
  show();
  follow();
  window.addEventListener("hashchange", follow);
})();
