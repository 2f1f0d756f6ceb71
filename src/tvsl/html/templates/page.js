"use strict";
// What is shown is a matter of classes and attributes; the style sheet does the rest.
const controls = document.getElementById("controls");
const strength = document.getElementById("strength");
document.documentElement.classList.add("js");

function show(selector, wanted) {
  for (const part of document.querySelectorAll(selector)) part.classList.toggle("off", !wanted);
}

function update() {
  const mode = controls.elements.labels.value;
  document.body.dataset.labels = mode;
  document.documentElement.style.setProperty("--strength", strength.value / 100);
  controls.querySelector("output").value = strength.value + " %";
  for (const box of controls.querySelectorAll("[name=boxes]")) {
    show("svg." + box.value, box.checked);
  }
  for (const box of document.querySelectorAll("[data-switches]")) {
    show('[data-source="' + box.dataset.switches + '"]', box.checked);
    // A source that was not detected has no map to be switched.
    box.disabled = mode === "detected" && box.dataset.detected === "no";
  }
}

// One sound at a time, and a line in the spectrogram that moves with the mixture.
function follow(sound, line) {
  if (sound.paused || sound.ended) {
    line.style.visibility = "hidden";
    return;
  }
  line.style.left = (100 * sound.currentTime) / sound.duration + "%";
  line.style.visibility = "visible";
  requestAnimationFrame(() => follow(sound, line));
}

document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio")) {
    if (other !== event.target) other.pause();
  }
  const line = event.target.parentElement.querySelector(".playhead");
  if (line) follow(event.target, line);
}, true);

document.addEventListener("input", update);
update();  // a browser may keep what was chosen before the page was loaded again
