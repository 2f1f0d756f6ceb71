"use strict";
// One view at a time: login, form, work, result or failure. The job's name stands in the address,
// so that a page that is loaded again goes on with it.
const API = "/api/v1";
const POLL = 500;
const $ = (id) => document.getElementById(id);
const VIEWS = ["login", "form", "work", "result", "failure"];
const FIELDS = { video: "Video", picture: "Picture", sound: "Sound" };
let chosen = {};
let service = null;
let job = null;
let upload = null;
let said = "";
let watched = 0;
document.documentElement.classList.add("js");

function show(view) {
  for (const name of VIEWS) $(name).hidden = name !== view;
}

function tell(text) {
  if (text === said) return;
  said = text;
  $("told").textContent = text;
}

// The focus goes where the news is, or a keyboard would be left on a part that is gone.
function turnTo(view) {
  show(view);
  ($(view + "-title") || $(view).querySelector("input")).focus();
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(API + path, options);
  } catch {
    throw { code: "gone", problem: "The service does not answer.", remedy: "Is it still running? Then try again." };
  }
  if (response.status === 204) return null;
  const content = await response.json().catch(() => null);
  if (!response.ok) throw problemOf(content, response.status);
  return content;
}

function problemOf(content, status) {
  return content && content.problem
    ? content
    : { code: "refused", problem: "The service answers with status " + status + ".", remedy: "Try again later." };
}

function fail(problem) {
  if (problem.code === "token_needed") {
    turnTo("login");
    return;
  }
  $("failure-problem").textContent = problem.problem;
  $("failure-remedy").textContent = problem.remedy;
  tell("It did not work. " + problem.problem);
  turnTo("failure");
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let place = 0;
  while (bytes >= 1000 && place < 3) { bytes /= 1000; place += 1; }
  return (place && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)) + " " + units[place];
}

function span(seconds) {
  if (seconds < 120) return Math.round(seconds) + " s";
  return Math.round(seconds / 60) + " min";
}

// What a file is: by its type, else by its ending; the service looks at its content.
function kindOf(file) {
  const type = file.type.split("/")[0];
  if (type === "image") return "picture";
  if (type === "audio") return "sound";
  if (type === "video") return "video";
  const ending = file.name.toLowerCase().split(".").pop();
  if (["wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "aac", "aiff"].includes(ending)) return "sound";
  if (["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "avif"].includes(ending)) return "picture";
  return "video";
}

function choose(files) {
  for (const file of files) {
    const kind = kindOf(file);
    if (kind === "video") chosen = { video: file };
    else {
      delete chosen.video;
      chosen[kind] = file;
    }
  }
  list();
}

function list() {
  const items = Object.entries(chosen).map(([kind, file]) => {
    const item = document.createElement("li"), name = document.createElement("span");
    const remove = document.createElement("button");
    name.textContent = FIELDS[kind] + ": " + file.name + ", " + size(file.size);
    remove.type = "button";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", "Remove " + file.name);
    remove.addEventListener("click", () => {
      delete chosen[kind];
      list();
      $("files").focus();
    });
    item.append(name, remove);
    return item;
  });
  $("chosen").replaceChildren(...items);
  const held = new DataTransfer();  // the field itself tells what is chosen, too
  for (const file of Object.values(chosen)) held.items.add(file);
  $("files").files = held.files;
  $("files-problem").textContent = "";
  $("files-note").textContent = chosen.picture && !chosen.sound ? "Now add the sound of the picture."
    : chosen.sound && !chosen.picture ? "Now add the picture of the sound."
    : "Choose, or drop files anywhere on this page.";
  const names = Object.values(chosen).map((file) => file.name);
  if (names.length) tell("Chosen: " + names.join(", "));
}

// The problem with what was chosen; empty where there is none.
function missing() {
  const bytes = Object.values(chosen).reduce((sum, file) => sum + file.size, 0);
  if (!Object.keys(chosen).length) return "Choose a video, or a picture and a sound.";
  if (!chosen.video && !chosen.sound) return "The picture's sound is missing.";
  if (!chosen.video && !chosen.picture) return "The sound's picture is missing.";
  if (service && bytes > service.limits.upload_bytes) {
    return "That is " + size(bytes) + "; at most " + size(service.limits.upload_bytes) + " are taken.";
  }
  return "";
}

async function start(event) {
  event.preventDefault();
  const problem = missing();
  $("files-problem").textContent = problem;
  if (problem) {
    $("files").focus();
    return;
  }
  for (const name of ["sources", "every"]) {
    if (!$(name).reportValidity()) return;
  }
  $("start").disabled = true;
  try {
    service = await ask("/service");
    if (!service.free) throw { code: "busy", problem: "Other jobs are waiting already.", remedy: "Try again in a while." };
    await send();
  } catch (found) {
    fail(found);
  } finally {
    $("start").disabled = false;
  }
}

function send() {
  const form = new FormData();
  for (const name of ["labels", "sources", "every"]) {
    if ($(name).value.trim()) form.append(name, $(name).value);
  }
  for (const [kind, file] of Object.entries(chosen)) form.append(kind, file, file.name);
  const request = new XMLHttpRequest();  // fetch tells nothing of an upload's progress
  upload = request;
  move("Uploading", 0, null);
  turnTo("work");
  return new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) move("Uploading", event.loaded, event.total, true);
    });
    const end = (act) => { upload = null; act(); };
    request.addEventListener("load", () => end(() => {
      let content = null;
      try { content = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status !== 202) return reject(problemOf(content, request.status));
      resolve();
      follow(content.id);
    }));
    request.addEventListener("error", () => end(() => reject({
      code: "gone", problem: "The upload broke off.",
      remedy: "The service has ended, or refuses so large a file. Try again.",
    })));
    request.addEventListener("abort", () => end(() => { resolve(); leave(); }));
    request.open("POST", API + "/jobs");
    request.send(form);
  });
}

function move(stage, done, total, isBytes) {
  const bar = $("bar"), share = total ? done / total : 0;
  if (total) bar.value = share;
  else bar.removeAttribute("value");
  const amount = !total ? "" : isBytes || total > 10000 ? Math.round(100 * share) + " %" : done + " of " + total;
  $("stage").textContent = stage + (amount ? ": " + amount : "");
  // Not every step is told: whoever listens hears the stages and their quarters.
  tell(stage + (total ? ", " + 25 * Math.floor(4 * share) + " percent" : ""));
}

function follow(name) {
  job = name;
  history.replaceState(null, "", "#job=" + name);
  $("cancel").disabled = false;
  watched += 1;
  watch(watched);
}

async function watch(turn) {
  let lost = 0;
  while (job && turn === watched) {
    try {
      const status = await ask("/jobs/" + encodeURIComponent(job));
      if (turn !== watched) return;
      lost = 0;
      if (status.state === "done") return finish(status);
      if (status.state === "cancelled") return leave();
      if (status.state === "failed") return forget(), fail(status.problem);
      if (status.state === "waiting") {
        move("Waiting for " + status.place + (status.place === 1 ? " other job" : " other jobs"), 0, null);
      } else move(status.stage || "Working", status.done, status.total);
      if ($("work").hidden) turnTo("work");
    } catch (found) {
      lost += 1;
      if (found.code !== "gone" || lost > 10) return forget(), fail(found);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

function forget() {
  job = null;
  watched += 1;
  history.replaceState(null, "", location.pathname);
}

function leave() {
  forget();
  tell("Cancelled.");
  turnTo("form");
}

async function cancel() {
  $("cancel").disabled = true;
  if (upload) {
    upload.abort();
    return;
  }
  try {
    await ask("/jobs/" + encodeURIComponent(job) + "/cancel", { method: "POST" });
    leave();
  } catch (found) {
    if (found.code !== "ended") fail(found);  // else it ended meanwhile, and is shown as it is
  }
}

function link(file, text, attributes) {
  const found = document.createElement("a");
  found.href = file.url;
  found.textContent = text;
  Object.assign(found, attributes);
  return found;
}

function finish(status) {
  const files = Object.fromEntries(status.files.map((file) => [file.name, file]));
  const labels = status.found.map((one) => one.label);
  $("summary").textContent = labels.length ? "Found: " + labels.join(", ") + "." : "Nothing that the model knows was found.";
  $("notices").replaceChildren(...status.notices.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  $("found").hidden = !labels.length;
  const isVideo = "overlay.mp4" in files;
  $("found").tBodies[0].replaceChildren(...status.found.map((one) => {
    const row = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.textContent = one.label;
    row.append(head);
    for (const [name, text] of [["Sounds for", isVideo ? one.seconds.toFixed(1) + " s" : "-"], ["Highest score", one.peak.toFixed(2)]]) {
      const cell = document.createElement("td");
      cell.className = "number";
      cell.dataset.name = name;
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }));
  const links = [];
  if (files["index.html"]) links.push(link(files["index.html"], "Open the page", { target: "_blank", rel: "noopener", className: "main" }));
  if (isVideo) links.push(link(files["overlay.mp4"], "Video, " + size(files["overlay.mp4"].bytes), { download: "overlay.mp4" }));
  if (files["localization.json"]) links.push(link(files["localization.json"], "JSON, " + size(files["localization.json"].bytes), { download: "localization.json" }));
  if (files["index.html"]) links.push(link(files["index.html"], "Save the page", { download: "index.html" }));
  $("downloads").replaceChildren(...links);
  const preview = $("preview");
  preview.hidden = !isVideo;
  if (isVideo) preview.src = files["overlay.mp4"].url;
  $("kept").textContent = "Your files are deleted already. The result is deleted in " + span(status.expires_in) + ", or at once by the button.";
  tell("Done. " + $("summary").textContent);
  turnTo("result");
}

function clear() {
  const preview = $("preview");
  preview.removeAttribute("src");
  preview.load();
  forget();
  chosen = {};
  list();
  turnTo("form");
}

async function remove() {
  try {
    await ask("/jobs/" + encodeURIComponent(job), { method: "DELETE" });
  } catch (found) {
    if (found.code !== "no_job") return fail(found);  // else it is gone already
  }
  clear();
  tell("Deleted.");
}

async function login(event) {
  event.preventDefault();
  const problem = $("login-problem");
  problem.textContent = "";
  try {
    await ask("/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: $("token").value }),
    });
    $("token").value = "";
    await begin();
  } catch (found) {
    problem.textContent = found.problem;
    $("token").focus();
  }
}

async function begin() {
  service = await ask("/service");
  const limits = service.limits;
  $("limits").textContent = "At most " + size(limits.upload_bytes) + " and " + span(limits.media_seconds) + " long. " +
    "Your files are deleted as soon as the work ends, the result after " + span(limits.keep_seconds) + ".";
  $("about").textContent = "tvsl " + service.version + ", model " + service.model + ".";
  const known = /^#job=([0-9a-f]+)$/.exec(location.hash);
  if (known) follow(known[1]);
  else turnTo("form");
}

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer || ![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("over", !$("form").hidden);
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer || !event.dataTransfer.files.length) return;
  event.preventDefault();
  document.body.classList.remove("over");
  if (!$("form").hidden) choose(event.dataTransfer.files);
});
$("files").addEventListener("change", (event) => choose([...event.target.files]));
$("form").addEventListener("submit", start);
$("login").addEventListener("submit", login);
$("cancel").addEventListener("click", cancel);
$("again").addEventListener("click", clear);
$("delete").addEventListener("click", remove);
$("back").addEventListener("click", () => turnTo("form"));
begin().catch(fail);
