"use strict";
// Two rows on one image: a slider, blinking, their difference, or side by side. All data are in the page.
(() => {
  const SECONDS = 0.8;
  const byId = (id) => document.getElementById(id);
  const data = byId("gallery") && JSON.parse(byId("gallery").textContent);
  if (!data) return;
  const { columns, places } = data;
  const chosen = { place: byId("place"), first: byId("first"), second: byId("second"), metric: byId("metric") };
  const stage = byId("stage"), under = byId("under"), over = byId("over"), slider = byId("slider");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let listed = [], current = 0, timer = 0, swapped = false;

  const place = () => places[chosen.place.value];
  const pair = () => [Number(chosen.first.value), Number(chosen.second.value)];
  const number = (value) => (value == null ? null : Number(value)); // "Infinity" is a text in JSON
  const mode = () => document.querySelector("input[name=mode]:checked").value;

  const column = () => columns[chosen.metric.value] ?? { name: "", unit: "", decimals: 2 };

  function format(value, decimals, sign = false) {
    if (value === null || Number.isNaN(value)) return "–";
    const text = Number.isFinite(value) ? value.toFixed(decimals) : value > 0 ? "∞" : "-∞";
    return (sign && value > 0 ? "+" : "") + text.replace("-", "\u2212");
  }

  function options(select, names, wanted) {
    select.replaceChildren(...names.map((name, position) => new Option(name, position)));
    if (wanted >= 0 && wanted < names.length) select.value = wanted;
  }

  function difference(sample, metric) {
    const [a, b] = pair().map((row) => number(sample.scores[row][metric]));
    return a === null || b === null ? null : a === b ? 0 : b - a;
  }

  const size = (by) => (by === null ? -1 : Math.abs(by)); // images without a score come last

  function list() {
    const [a, b] = pair(), metric = chosen.metric.value;
    listed = place().samples
      .filter((sample) => sample.files[a] && sample.files[b])
      .map((sample) => ({ sample, by: difference(sample, metric) }))
      .sort((one, other) => size(other.by) - size(one.by) || 0); // two infinite ones are alike
    const { name, unit, decimals } = column();
    byId("list").replaceChildren(...listed.map(({ sample, by }, position) => {
      const item = document.createElement("li"), button = document.createElement("button");
      const picture = document.createElement("img"), label = document.createElement("b"), told = document.createElement("span");
      button.type = "button";
      picture.src = sample.files[b];
      picture.alt = "";
      picture.loading = "lazy";
      label.textContent = sample.id;
      told.textContent = `${format(by, decimals, true)} ${unit || name}`;
      button.append(picture, label, told);
      button.addEventListener("click", () => show(position, true));
      item.append(button);
      return item;
    }));
  }

  function numbers(sample) {
    const [a, b] = pair();
    byId("numbers").replaceChildren(...columns.map((column, position) => {
      const line = document.createElement("tr"), head = document.createElement("th");
      head.scope = "row";
      head.textContent = column.unit ? `${column.name} (${column.unit})` : column.name;
      const values = [a, b].map((row) => number(sample.scores[row][position]));
      const by = difference(sample, position);
      const texts = [...values.map((value) => format(value, column.decimals)), format(by, column.decimals, true)];
      line.append(head, ...texts.map((text, at) => {
        const cell = document.createElement("td");
        cell.className = "n";
        cell.textContent = text;
        const better = at < 2 && by ? (by > 0) === column.higher === (at === 1) : false;
        cell.classList.toggle("winner", better);
        return cell;
      }));
      return line;
    }));
  }

  function show(position, focus) {
    const there = listed.length > 0;
    byId("viewer").hidden = byId("list").hidden = byId("list-title").hidden = !there;
    byId("none").hidden = there;
    if (!there) return;
    current = (position + listed.length) % listed.length;
    const { sample } = listed[current], [a, b] = pair(), names = place().rows.map((row) => row.name);
    byId("sample").textContent = sample.id;
    [[under, a], [over, b]].forEach(([picture, row]) => {
      picture.src = sample.files[row];
      picture.alt = `${sample.id}, restored by ${names[row]}`;
    });
    byId("name-a").textContent = `A: ${names[a]}`;
    byId("name-b").textContent = `B: ${names[b]}`;
    numbers(sample);
    [...byId("list").querySelectorAll("button")].forEach((button, at) => {
      if (at === current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    byId("permanent").href = link(sample);
    if (focus) {
      byId("sample").focus({ preventScroll: true });
      byId("viewer").scrollIntoView({ block: "nearest" });
    }
  }

  function link(sample) {
    const rows = place().rows, [a, b] = pair();
    return `#${new URLSearchParams({ task: place().label, a: rows[a].name, b: rows[b].name,
      by: column().name, image: sample.id })}`;
  }

  function arrange() { // what the chosen mode shows
    const now = mode();
    stage.dataset.mode = now;
    for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== now;
    clearInterval(timer);
    swapped = false;
    if (now === "blink") blink(!still.matches);
    paint();
  }

  function blink(on) {
    clearInterval(timer);
    byId("blinking").setAttribute("aria-pressed", String(on));
    if (on) timer = setInterval(() => swap(), SECONDS * 1000);
  }

  function swap() {
    swapped = !swapped;
    paint();
  }

  function paint() {
    stage.style.setProperty("--cut", `${slider.value}%`);
    stage.style.setProperty("--gain", 2 ** Number(byId("amplify").value));
    slider.setAttribute("aria-valuetext", `${slider.value} % of A`);
    byId("amplified").textContent = `${2 ** Number(byId("amplify").value)} times`;
    stage.classList.toggle("swapped", swapped);
    byId("seen").textContent = byId("blinking").getAttribute("aria-pressed") === "true" ? "" : swapped ? "B" : "A";
    byId("name-a").classList.toggle("seen", mode() === "blink" && !swapped);
    byId("name-b").classList.toggle("seen", mode() === "blink" && swapped);
  }

  function drag(event) { // the pointer moves the slider too
    if (mode() !== "slider" || !(event.buttons & 1)) return;
    const box = stage.getBoundingClientRect();
    slider.value = Math.round(100 * (event.clientX - box.left) / box.width);
    paint();
    event.preventDefault();
  }

  function rows(first, second) {
    const names = place().rows.map((row) => row.name);
    options(chosen.first, names, first);
    options(chosen.second, names, second);
    const filled = names.map((_, row) => place().samples.some((sample) => sample.files[row]));
    [...chosen.first.options, ...chosen.second.options].forEach((option) => { option.disabled = !filled[option.value]; });
    if (first >= 0 && second >= 0 && first !== second) return;
    const there = filled.flatMap((yes, row) => (yes ? [row] : []));
    chosen.first.value = there[0];
    chosen.second.value = there[there.length - 1];
  }

  function follow() { // a link to a comparison, or the first one
    const wanted = new URLSearchParams(location.hash.slice(1));
    const at = (items, name, field) => items.findIndex((item) => item[field] === name);
    chosen.place.value = Math.max(0, at(places, wanted.get("task"), "label"));
    const held = place().rows;
    rows(at(held, wanted.get("a"), "name"), at(held, wanted.get("b"), "name"));
    chosen.metric.value = Math.max(0, at(columns, wanted.get("by"), "name"));
    list();
    show(Math.max(0, listed.findIndex(({ sample }) => sample.id === wanted.get("image"))), false);
  }

  options(chosen.place, places.map((each) => each.label), 0);
  options(chosen.metric, columns.map((each) => each.name), 0);
  chosen.place.addEventListener("change", () => {
    const [a, b] = [chosen.first, chosen.second].map((select) => select.selectedOptions[0]?.text);
    const names = place().rows.map((row) => row.name);
    rows(names.indexOf(a), names.indexOf(b));
    list();
    show(0, false);
  });
  for (const select of [chosen.first, chosen.second, chosen.metric]) {
    select.addEventListener("change", () => { list(); show(0, false); });
  }
  slider.addEventListener("input", paint);
  byId("amplify").addEventListener("input", paint);
  byId("swap").addEventListener("click", () => { blink(false); swap(); });
  byId("blinking").addEventListener("click", () => { blink(byId("blinking").getAttribute("aria-pressed") !== "true"); paint(); });
  byId("modes").addEventListener("change", arrange);
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); drag(event); });
  stage.addEventListener("pointermove", drag);
  byId("previous").addEventListener("click", () => show(current - 1, false));
  byId("next").addEventListener("click", () => show(current + 1, false));
  byId("choice").addEventListener("submit", (event) => event.preventDefault());
  byId("choice").hidden = false;
  follow();
  arrange();
  window.addEventListener("hashchange", follow);
})();
