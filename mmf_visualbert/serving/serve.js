"use strict";
const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let about = null;

function make(name, attributes = {}, text = "") {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function draw(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

async function begin() {
  about = await (await fetch("/about")).json();
  at("about").textContent = `${about.model}, asked with its head for ${about.head}`;
  for (let number = 0; number < about.images; number++) {
    const one = about.images === 1 ? "Image" : ["Left image", "Right image"][number] || `Image ${number + 1}`;
    const line = make("p");
    if (about.photographs) {
      line.append(make("label", { for: `file${number}` }, `${one}: photograph `));
      line.append(make("input", { id: `file${number}`, type: "file", accept: "image/*" }), " ");
    }
    if (about.keys.length) {
      line.append(make("label", { for: `key${number}` }, about.photographs ? "or of the store " : `${one} `));
      line.append(make("input", { id: `key${number}`, list: "keys", autocomplete: "off" }));
    }
    at("inputs").append(line);
  }
  const keys = make("datalist", { id: "keys" });
  keys.append(...about.keys.map((key) => make("option", { value: key })));
  document.body.append(keys);
}

function read(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function images() {
  const given = [];
  for (let number = 0; number < about.images; number++) {
    const file = at(`file${number}`)?.files[0];
    const key = at(`key${number}`)?.value.trim();
    if (file) given.push({ sent: { photograph: await read(file) }, shown: URL.createObjectURL(file) });
    else if (key) given.push({ sent: { key }, shown: `/picture/${encodeURIComponent(key)}` });
  }
  return given;
}

async function ask(event) {
  event.preventDefault();
  at("error").textContent = "";
  at("state").textContent = "…";
  at("ask").disabled = true;
  try {
    const given = await images();
    const body = JSON.stringify({ text: at("text").value, images: given.map((one) => one.sent) });
    const response = await fetch("/ask", { method: "POST", body, headers: { "x-visualbert": "1" } });
    const said = await response.json();
    if (response.ok) show(said, given);
    else at("error").textContent = said.error;
  } catch (error) {
    at("error").textContent = `there is no answer (${error.message}); is the server still running?`;
  }
  at("state").textContent = "";
  at("ask").disabled = false;
}

function show(said, given) {
  at("replies").replaceChildren(...said.replies.map((reply) => {
    const row = make("tr");
    const answer = reply.about && reply.box ? `${reply.about}: ${reply.answer}` : reply.answer;
    row.append(make("td", {}, answer), make("td", { class: "number" }, `${(100 * reply.probability).toFixed(1)} %`));
    return row;
  }));
  at("pictures").replaceChildren(...said.images.map((image, number) => picture(image, given[number].shown, said, number)));
  at("looking").hidden = !said.words || !said.images[0].boxes;
  at("words").replaceChildren(...(said.words || []).map((word, place) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, word);
    button.addEventListener("click", () => look(said, place));
    return button;
  }));
  at("result").hidden = false;
  if (!at("looking").hidden) look(said, Math.max(0, said.words.indexOf("[MASK]")));
}

function picture(image, address, said, number) {
  const figure = make("figure");
  const boxes = image.boxes || [];
  const width = image.width || Math.max(1, ...boxes.map((box) => box[2]));
  const height = image.height || Math.max(1, ...boxes.map((box) => box[3]));
  const label = `Image ${number + 1} with ${boxes.length} regions`;
  const canvas = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  canvas.append(draw("image", { href: address, width, height, preserveAspectRatio: "none" }));
  const rectangle = (box, kind) =>
    draw("rect", { class: kind, x: box[0], y: box[1], width: Math.max(0, box[2] - box[0]), height: Math.max(0, box[3] - box[1]) });
  for (const box of boxes) canvas.append(rectangle(box, "region"));
  for (const reply of said.replies) if (reply.box && number === 0) canvas.append(rectangle(reply.box, "reply"));
  for (const one of canvas.querySelectorAll(".region")) one.setAttribute("fill-opacity", "0");
  figure.append(canvas);
  return figure;
}

function look(said, place) {
  const weights = said.weights[place];
  const most = Math.max(...weights, 1e-9);
  [...at("words").children].forEach((button, number) => button.setAttribute("aria-pressed", String(number === place)));
  document.querySelectorAll("#pictures .region").forEach((region, number) => {
    region.setAttribute("fill-opacity", ((0.7 * weights[number]) / most).toFixed(3));
    region.dataset.weight = weights[number];
  });
}

at("form").addEventListener("submit", ask);
begin();
