"use strict";
// Everything that comes from data goes into the page as text, never as markup.
const SVG = "http://www.w3.org/2000/svg", ATTENDED = 0.1, MOST = 8;
const $ = (id) => document.getElementById(id);
const index = JSON.parse($("index").textContent);
const state = { example: 0, view: "raw", mode: "mean", layer: index.layers.length - 1, head: 0, pinned: null, over: null };
let shown = [], current = null, opening = 0;

function make(name, attributes = {}, text = null, space = null) {
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

// -- Weights ------------------------------------------------------------------------------------------------------

async function unpack(data) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function read(number) {
  const example = JSON.parse($(`example-${number}`).textContent);
  const T = example.words.length, N = example.regions.length, LH = index.layers.length * index.heads;
  const bytes = await unpack(example.data), sizes = { raw: LH * T * N, special: LH * T, rollout: T * N, relevance: T * N, answer: T + N };
  let start = 0;
  example.parts = {};
  for (const [name, size] of Object.entries(sizes)) { example.parts[name] = bytes.subarray(start, start + size); start += size; }
  return Object.assign(example, { T, N });
}

const value = (part, place, scale) => (current.parts[part][place] * current.scales[part][scale]) / 255;

function heads() {
  if (state.mode === "mean") return [...Array(index.heads).keys()];
  return [state.mode === "best" ? index.best[state.layer] : state.head];
}

function weight(word, region) {
  if (state.view !== "raw") return value(state.view, word * current.N + region, 0);
  const each = heads().map((head) => state.layer * index.heads + head);
  return each.reduce((sum, row) => sum + value("raw", (row * current.T + word) * current.N + region, row), 0) / each.length;
}

function special(word) {
  const each = heads().map((head) => state.layer * index.heads + head);
  return each.reduce((sum, row) => sum + value("special", row * current.T + word, row), 0) / each.length;
}

const chosen = () => state.over || state.pinned || (state.view === "relevance" ? { answer: true } : { word: Math.min(1, current.T - 1) });

function regionWeights(choice) {
  return [...Array(current.N).keys()].map((region) =>
    choice.answer ? value("answer", current.T + region, 0) : choice.word !== undefined ? weight(choice.word, region) : 0);
}

function wordWeights(choice) {
  return [...Array(current.T).keys()].map((word) =>
    choice.answer ? value("answer", word, 0) : choice.region !== undefined ? weight(word, choice.region) : 0);
}

// -- Drawing --------------------------------------------------------------------------------------------------------

const nameOf = (region) => {
  const [image, number, , group] = current.regions[region];
  const which = current.images.length > 1 ? ` of image ${image + 1}` : "";
  return `region ${number}${which}` + (group >= 0 ? ` (${current.groups[group].label})` : "");
};

function starred(weights) {
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.map((w, region) => current.groups.length > 0 && current.regions[region][3] < 0 && total > 0 && w >= ATTENDED * total);
}

function rows(weights) {
  const stars = starred(weights);
  if (!$("grouped").checked || !current.groups.length)
    return weights.map((w, region) => [nameOf(region) + (stars[region] ? " *" : ""), w]).sort((a, b) => b[1] - a[1]).slice(0, MOST);
  const sums = current.groups.map((group, number) => [group.label,
    weights.reduce((sum, w, region) => sum + (current.regions[region][3] === number ? w : 0), 0)]);
  weights.forEach((w, region) => { if (stars[region]) sums.push([nameOf(region) + " *", w]); });
  return sums.sort((a, b) => b[1] - a[1]);
}

function fill(table, caption, lines, percent = false) {
  table.querySelector("caption").textContent = caption;
  const most = Math.max(...lines.map((line) => line[line.length - 1]), 1e-12);
  table.querySelector("tbody").replaceChildren(...lines.map((line) => {
    const row = make("tr"), number = line[line.length - 1];
    line.slice(0, -1).forEach((text, place) => row.append(make(place ? "td" : "th", place ? {} : { scope: "row" }, text)));
    const track = make("td", { class: "track" }), bar = make("span", { class: "bar-of" });
    bar.style.width = `${(100 * number) / most}%`;
    track.append(bar);
    row.append(track, make("td", { class: "number", "data-weight": number }, percent ? `${(100 * number).toFixed(1)} %` : number.toFixed(4)));
    return row;
  }));
}

const tokenOf = (choice) => choice.answer ? "the answer" : `“${current.words[choice.word]}”`;

function paint() {
  if (!current) return;
  const choice = chosen(), regions = regionWeights(choice), words = wordWeights(choice), verb = state.view === "raw" ? "looks at" : "rests on";
  const most = Math.max(...regions, 1e-12), mostWord = Math.max(...words, 1e-12), top = regions.indexOf(Math.max(...regions));
  document.querySelectorAll(".region").forEach((element) => {
    const region = Number(element.dataset.region), same = choice.region === region;
    element.style.fillOpacity = choice.region === undefined ? 0.75 * (regions[region] / most) : same ? 0.5 : 0;
    element.dataset.weight = regions[region];
    element.classList.toggle("top", choice.region === undefined && region === top && regions[top] > 0);
    element.setAttribute("aria-pressed", String(same));
  });
  document.querySelectorAll("#words button").forEach((element) => {
    const word = element.dataset.word === "answer" ? null : Number(element.dataset.word);
    const part = word === null || choice.word !== undefined ? 0 : words[word] / mostWord;
    element.style.backgroundColor = `color-mix(in srgb, var(--mark) ${Math.round(45 * part)}%, var(--panel))`;
    element.dataset.weight = word === null ? "" : words[word];
    element.setAttribute("aria-pressed", String(word === null ? !!choice.answer : choice.word === word));
  });
  if (choice.region !== undefined) {
    const lines = words.map((w, word) => [current.words[word], w]).sort((a, b) => b[1] - a[1]).slice(0, MOST);
    fill($("weights"), `What ${state.view === "raw" ? "looks at" : "rests on"} ${nameOf(choice.region)}`, lines);
    $("say").textContent = `${nameOf(choice.region)}: most from “${lines[0][0]}” (${lines[0][1].toFixed(3)}).`;
  } else {
    const lines = rows(regions), total = regions.reduce((sum, w) => sum + w, 0);
    fill($("weights"), `What ${tokenOf(choice)} ${verb}`, lines);
    const rest = state.view === "raw"
      ? ` To regions ${(100 * total).toFixed(1)} %, to [CLS] and [SEP] ${(100 * special(choice.word)).toFixed(1)} %, to other words ${Math.max(0, 100 * (1 - total - special(choice.word))).toFixed(1)} %.` : "";
    const outside = lines.some((line) => line[0].endsWith("*")) ? " * attended, but in no gold box." : "";
    $("say").textContent = `${tokenOf(choice)} ${verb} ${lines.length ? `${lines[0][0]} most (${lines[0][1].toFixed(3)})` : "no region"}.${rest}${outside}`;
  }
  controls();
}

function controls() {
  const one = state.view === "raw" && state.mode === "head";
  $("heads").hidden = state.view !== "raw";
  $("layer").value = state.layer;
  $("layer-number").textContent = index.layers[state.layer];
  if (state.mode === "best") state.head = index.best[state.layer];
  $("head").value = state.head;
  $("head").disabled = !one;
  $("head-number").textContent = state.mode === "mean" ? "all" : state.head + 1;
  for (const name of ["view", "mode"])
    document.querySelectorAll(`input[name=${name}]`).forEach((input) => { input.checked = input.value === state[name]; });
  document.querySelectorAll(".gold, .golden").forEach((element) => { element.toggleAttribute("hidden", !$("gold").checked); });
  document.querySelectorAll("[data-word=answer]").forEach((element) => { element.parentElement.hidden = state.view !== "relevance"; });
  const parts = { example: current.name, view: state.view, mode: state.mode, layer: index.layers[state.layer], head: state.head + 1 };
  if (state.pinned && state.pinned.word !== undefined) parts.word = state.pinned.word;
  if (state.pinned && state.pinned.region !== undefined) parts.region = state.pinned.region;
  history.replaceState(null, "", "#" + new URLSearchParams(parts));
}

function pin(choice) {
  const same = state.pinned && JSON.stringify(state.pinned) === JSON.stringify(choice);
  state.pinned = same ? null : choice;
  state.over = null;
  paint();
}

function listen(element, choice) {
  element.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") { state.over = choice; paint(); } });
  element.addEventListener("pointerleave", () => { state.over = null; paint(); });
  element.addEventListener("focus", () => { if (element.matches(":focus-visible")) { state.over = choice; paint(); } });
  element.addEventListener("blur", () => { state.over = null; paint(); });
  element.addEventListener("click", () => pin(choice));
}

function drawWords() {
  $("words").replaceChildren();
  const add = (text, choice, name) => {
    const item = make("li"), button = make("button", { type: "button", "data-word": name, "aria-pressed": "false" }, text);
    listen(button, choice);
    item.append(button);
    $("words").append(item);
  };
  current.words.forEach((text, word) => add(text, { word }, word));
  add("→ answer", { answer: true }, "answer");
}

function drawPictures() {
  $("pictures").replaceChildren(...current.images.map((image, number) => {
    const figure = make("figure"), text = `image ${image.key}${image.src ? "" : ": the file is not there, its boxes on a blank canvas"}`;
    const svg = make("svg", { viewBox: `0 0 ${image.width} ${image.height}`, role: "group", "aria-label": `${text}; its regions` }, null, SVG);
    if (image.src) svg.append(make("image", { href: image.src, width: image.width, height: image.height, preserveAspectRatio: "none" }, null, SVG));
    const area = ([, , box]) => (box ? (box[2] - box[0]) * (box[3] - box[1]) : 0);
    current.regions.map((region, place) => [region, place]).filter(([region]) => region[0] === number && region[2])
      .sort((a, b) => area(b[0]) - area(a[0])).forEach(([region, place], order) => {
        const [x1, y1, x2, y2] = region[2];
        const rect = make("rect", { class: "region", x: x1, y: y1, width: x2 - x1, height: y2 - y1, role: "button", tabindex: order ? -1 : 0,
          "data-region": place, "aria-label": nameOf(place), "aria-pressed": "false" }, null, SVG);
        listen(rect, { region: place });
        svg.append(rect);
      });
    current.groups.filter((group) => group.image === number).forEach((group) => group.boxes.forEach(([x1, y1, x2, y2]) => {
      svg.append(make("rect", { class: "gold", x: x1, y: y1, width: x2 - x1, height: y2 - y1 }, null, SVG));
      const size = Math.max(image.width, image.height) / 32;
      svg.append(make("text", { class: "golden", x: x1 + 2, y: Math.max(y1 - 2, size), "font-size": size, "aria-hidden": "true" }, group.label, SVG));
    }));
    figure.append(svg, make("figcaption", {}, text));
    return figure;
  }));
}

async function open(number, keep = false) {
  const mine = ++opening, example = await read(number);
  if (mine !== opening) return; // another was opened meanwhile
  state.example = number;
  current = example;
  if (!keep) state.pinned = null;
  state.over = null;
  $("name").textContent = current.name;
  const verdict = current.right === null ? "" : current.right ? "right" : "wrong";
  $("verdict").replaceChildren(make("span", { class: verdict }, verdict), document.createTextNode(current.gold.length ? `${verdict ? "; " : ""}given: ${current.gold.join(" / ")}` : ""));
  $("boxes").hidden = !current.groups.length;
  $("text").textContent = current.text || "";
  drawWords();
  drawPictures();
  const several = new Set(current.answers.map((answer) => answer[0])).size > 1;
  fill($("answers"), "The model's answers", current.answers.map(([about, answer, p]) => several ? [about, answer, p] : [answer, p]), true);
  markOpen();
  paint();
}

function markOpen() {
  document.querySelectorAll("#examples a").forEach((link) => link.setAttribute("aria-current", String(Number(link.dataset.example) === state.example)));
  const link = document.querySelector("#examples a[aria-current=true]");
  if (link) link.parentElement.parentElement.scrollTop = Math.max(0, link.offsetTop - link.parentElement.parentElement.offsetTop - 60);
}

function filter() {
  const right = $("right").value, kind = $("kind").value;
  shown = index.examples.map((example, number) => [example, number]).filter(([example]) =>
    (!right || example.right === (right === "1")) && (!kind || example.kind === kind)).map(([, number]) => number);
  $("examples").replaceChildren(...shown.map((number) => {
    const example = index.examples[number], item = make("li");
    const mark = example.right === null ? "" : example.right ? "✓ " : "✗ ";
    const link = make("a", { href: `#example=${encodeURIComponent(example.name)}`, "data-example": number }, `${mark}${example.text}`);
    link.addEventListener("click", (event) => { event.preventDefault(); open(number); });
    item.append(link);
    return item;
  }));
  $("count").textContent = `${shown.length} of ${index.examples.length} examples`;
  if (shown.length && !shown.includes(state.example)) open(shown[0]);
  else markOpen();
}

function step(by) {
  if (!shown.length) return;
  const place = shown.indexOf(state.example); // -1, where the filters hide it
  open(shown[(place + by + shown.length) % shown.length]);
}

function turn(name, choices) {
  state[name] = choices[(choices.indexOf(state[name]) + 1) % choices.length];
  paint();
}

const clamp = (number, most) => Math.max(0, Math.min(most, number));
function layer(by) { state.layer = clamp(state.layer + by, index.layers.length - 1); paint(); }
function head(by) { state.mode = "head"; state.head = clamp(state.head + by, index.heads - 1); paint(); }
const MODES = index.best ? ["head", "mean", "best"] : ["head", "mean"];
const KEYS = {
  j: () => step(1), k: () => step(-1), "]": () => layer(1), "[": () => layer(-1), "=": () => head(1), "-": () => head(-1),
  v: () => turn("view", ["raw", "rollout", "relevance"]), m: () => turn("mode", MODES),
  g: () => { $("gold").checked = !$("gold").checked; paint(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); return; }
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  for (const several of ["#words button", ".region"]) {
    if (!event.target.matches(several)) continue;
    if (by) {
      const all = [...document.querySelectorAll(several)].filter((element) => element.getClientRects().length);
      const next = all[(all.indexOf(event.target) + by + all.length) % all.length];
      if (several === ".region") all.forEach((element) => element.setAttribute("tabindex", element === next ? 0 : -1));
      event.preventDefault();
      next.focus();
    } else if (several === ".region" && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      pin({ region: Number(event.target.dataset.region) });
    }
  }
});
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("right").addEventListener("change", filter);
$("kind").addEventListener("change", filter);
$("layer").addEventListener("input", () => { state.layer = Number($("layer").value); paint(); });
$("head").addEventListener("input", () => { state.head = Number($("head").value); paint(); });
for (const name of ["view", "mode"])
  document.querySelectorAll(`input[name=${name}]`).forEach((input) => input.addEventListener("change", () => { state[name] = input.value; paint(); }));
for (const name of ["gold", "grouped"]) $(name).addEventListener("change", paint);
$("controls").addEventListener("submit", (event) => event.preventDefault());

function fromAddress() {
  const parts = new URLSearchParams(location.hash.slice(1)), number = index.examples.findIndex((example) => example.name === parts.get("example"));
  if (["raw", "rollout", "relevance"].includes(parts.get("view"))) state.view = parts.get("view");
  if (MODES.includes(parts.get("mode"))) state.mode = parts.get("mode");
  if (index.layers.includes(Number(parts.get("layer")))) state.layer = index.layers.indexOf(Number(parts.get("layer")));
  if (Number(parts.get("head")) >= 1) state.head = clamp(Number(parts.get("head")) - 1, index.heads - 1);
  for (const name of ["word", "region"]) if (parts.has(name)) state.pinned = { [name]: Number(parts.get(name)) };
  return open(Math.max(0, number), true);
}

$("layer").max = index.layers.length - 1;
$("head").max = index.heads - 1;
$("best").hidden = !index.best;
$("right").parentElement.hidden = index.examples.every((example) => example.right === null);
const kinds = [...new Set(index.examples.map((example) => example.kind))].filter(Boolean).sort();
$("kind").append(...kinds.map((kind) => make("option", { value: kind }, kind)));
$("kind").parentElement.hidden = kinds.length < 2;
window.addEventListener("hashchange", fromAddress);
fromAddress().then(filter);
