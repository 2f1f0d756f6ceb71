"use strict";
// Maps, boxes and names are drawn over the video or picture, between two moments mixed by time.
const clip = document.getElementById("clip");
const result = JSON.parse(clip.dataset.result);
const media = document.getElementById("media");
const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d");
const mixed = document.createElement("canvas");
const strength = document.getElementById("strength");
const now = document.getElementById("now");
const isVideo = media.tagName === "VIDEO";
const MIXING_SIDE = 160;  // colours are mixed at this size and scaled up
const GAMMA = 1.8;
const MOST_ENLARGED = 64;  // of an hour of moments all would fill the memory
const enlargedMaps = new Map();
document.documentElement.classList.add("js");

const colors = result.labels.map((_, number) => {
  const swatch = document.querySelector(".swatch.c" + number);
  return getComputedStyle(swatch).getPropertyValue("--color").match(/\d+/g).map(Number);
});
for (const moment of result.moments) {
  for (const source of moment.sources) {
    const bytes = atob(source.map);
    source.map = Float32Array.from(bytes, (letter) => letter.charCodeAt(0) / 255);
    source.columns = source.map.length / source.rows;
  }
}
const scale = Math.min(1, MIXING_SIDE / Math.max(result.width, result.height));
mixed.width = Math.max(2, Math.round(result.width * scale));
mixed.height = Math.max(2, Math.round(result.height * scale));

// A map at the size at which colours are mixed, bilinear between the middles of cells.
function enlarged(source) {
  if (enlargedMaps.has(source)) return enlargedMaps.get(source);
  const { rows, columns, map } = source;
  const large = new Float32Array(mixed.width * mixed.height);
  for (let y = 0; y < mixed.height; y++) {
    const v = Math.min(Math.max(((y + 0.5) * rows) / mixed.height - 0.5, 0), rows - 1);
    const top = Math.floor(v), low = Math.min(top + 1, rows - 1), down = v - top;
    for (let x = 0; x < mixed.width; x++) {
      const u = Math.min(Math.max(((x + 0.5) * columns) / mixed.width - 0.5, 0), columns - 1);
      const left = Math.floor(u), right = Math.min(left + 1, columns - 1), across = u - left;
      large[y * mixed.width + x] =
        (1 - down) * ((1 - across) * map[top * columns + left] + across * map[top * columns + right]) +
        down * ((1 - across) * map[low * columns + left] + across * map[low * columns + right]);
    }
  }
  let low = Infinity, high = -Infinity;
  for (const value of large) { low = Math.min(low, value); high = Math.max(high, value); }
  if (high > low) for (let n = 0; n < large.length; n++) large[n] = (large[n] - low) / (high - low);
  if (enlargedMaps.size >= MOST_ENLARGED) enlargedMaps.clear();
  enlargedMaps.set(source, large);
  return large;
}

function mix(first, second, share) {
  return first.map((value, place) => value + (second[place] - value) * share);
}

// The sources at a time: of a label that one of two moments lacks, the map fades half-way.
function sourcesAt(time) {
  const moments = result.moments;
  let after = moments.findIndex((moment) => moment.time > time);
  if (after < 0) after = moments.length - 1;
  const before = time < moments[0].time ? 0 : moments[after].time > time ? after - 1 : after;
  const span = moments[after].time - moments[before].time;
  const share = span > 0 ? (time - moments[before].time) / span : 0;
  const found = [];
  for (let label = 0; label < result.labels.length; label++) {
    const one = moments[before].sources.find((source) => source.label === label);
    const two = moments[after].sources.find((source) => source.label === label);
    if (one && two && share > 0) {
      found.push({
        label,
        map: mix(enlarged(one), enlarged(two), share),
        box: one.box && two.box ? mix(one.box, two.box, share) : one.box || two.box,
        score: one.score + (two.score - one.score) * share,
        certainty: one.certainty + (two.certainty - one.certainty) * share,
        presence: 1,
      });
    } else {
      const only = one && (share < 0.5 || two) ? one : !one && two && share > 0.5 ? two : null;
      if (only) {
        const presence = one && two ? 1 : one ? 1 - 2 * share : 2 * share - 1;
        found.push({ ...only, label, map: enlarged(only), presence });
      }
    }
  }
  return found;
}

function isShown(label) {
  const box = document.querySelector('[data-label="' + label + '"]');
  return !box || box.checked;
}

// Every source in its own colour; where two overlap, the mean of their colours by opacity.
function drawHeat(sources, opacity) {
  const context = mixed.getContext("2d");
  const image = context.createImageData(mixed.width, mixed.height);
  const strengths = sources.map((source) => 0.72 * opacity * source.certainty * source.presence);
  for (let n = 0; n < mixed.width * mixed.height; n++) {
    let red = 0, green = 0, blue = 0, sum = 0, kept = 1;
    sources.forEach((source, place) => {
      const own = strengths[place] * Math.pow(source.map[n], GAMMA);
      const color = colors[source.label];
      red += own * color[0]; green += own * color[1]; blue += own * color[2];
      sum += own; kept *= 1 - own;
    });
    if (sum > 0) {
      image.data[4 * n] = red / sum;
      image.data[4 * n + 1] = green / sum;
      image.data[4 * n + 2] = blue / sum;
      image.data[4 * n + 3] = 255 * (1 - kept);
    }
  }
  context.putImageData(image, 0, 0);
  pen.imageSmoothingQuality = "high";
}

// The line at half height, by marching squares.
function contour(map, place) {
  const width = mixed.width, path = new Path2D();
  const sx = place.width / width, sy = place.height / mixed.height;
  const cut = (a, b) => (0.5 - a) / (b - a);
  for (let y = 0; y + 1 < mixed.height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const n = y * width + x;
      const a = map[n], b = map[n + 1], c = map[n + width + 1], d = map[n + width];
      const points = [];
      if (a >= 0.5 !== b >= 0.5) points.push([x + cut(a, b), y]);
      if (b >= 0.5 !== c >= 0.5) points.push([x + 1, y + cut(b, c)]);
      if (d >= 0.5 !== c >= 0.5) points.push([x + cut(d, c), y + 1]);
      if (a >= 0.5 !== d >= 0.5) points.push([x, y + cut(a, d)]);
      for (let one = 0; one + 1 < points.length; one += 2) {
        path.moveTo(place.x + (points[one][0] + 0.5) * sx, place.y + (points[one][1] + 0.5) * sy);
        path.lineTo(place.x + (points[one + 1][0] + 0.5) * sx, place.y + (points[one + 1][1] + 0.5) * sy);
      }
    }
  }
  return path;
}

function stroke(draw, color, width) {
  for (const [style, extra] of [["rgb(0 0 0 / .6)", 2], [color, 0]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width + extra;
    draw();
  }
}

function drawSource(source, place) {
  const color = "rgb(" + colors[source.label].join(" ") + ")";
  pen.globalAlpha = Math.max(0.35, source.certainty) * source.presence;
  if (document.getElementById("contours").checked) {
    const path = contour(source.map, place);
    stroke(() => pen.stroke(path), color, 1.5);
  }
  if (!source.box || source.presence < 0.5) return;
  const sx = place.width / result.width, sy = place.height / result.height;
  const left = place.x + source.box[0] * sx, top = place.y + source.box[1] * sy;
  const across = (source.box[2] - source.box[0]) * sx, down = (source.box[3] - source.box[1]) * sy;
  if (document.getElementById("boxes").checked) {
    stroke(() => pen.strokeRect(left + 1, top + 1, across - 2, down - 2), color, 2.5);
  }
}

// A name at each box, moved down where another name stands.
function drawNames(sources, place) {
  pen.font = "600 13px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const taken = [];
  const sx = place.width / result.width, sy = place.height / result.height;
  for (const source of sources) {
    if (!source.box || source.presence < 0.5) continue;
    const text = result.labels[source.label];
    const width = Math.min(pen.measureText(text).width + 12, place.width), height = 20;
    const left = Math.min(place.x + source.box[0] * sx, place.x + place.width - width);
    let top = Math.max(place.y + source.box[1] * sy - height, place.y);
    while (taken.some((tag) => tag.top < top + height && top < tag.top + height && tag.left < left + width && left < tag.right)) top += height;
    taken.push({ top, left, right: left + width });
    const [red, green, blue] = colors[source.label];
    pen.globalAlpha = Math.max(0.8, source.certainty);  // what is fainter cannot be read
    pen.fillStyle = "rgb(" + red + " " + green + " " + blue + ")";
    pen.fillRect(left, top, width, height);
    pen.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 125 ? "#000" : "#fff";
    pen.fillText(text, left + 6, top + height / 2 + 1, width - 10);
  }
}

// The part of the element that the picture fills: a video keeps its shape inside it.
function pictureIn(width, height) {
  const fit = Math.min(width / result.width, height / result.height);
  const across = result.width * fit, down = result.height * fit;
  return { x: (width - across) / 2, y: (height - down) / 2, width: across, height: down };
}

function draw() {
  const width = media.clientWidth, height = media.clientHeight, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const time = isVideo ? media.currentTime + result.start : result.moments[0].time;
  const sources = sourcesAt(time).filter((source) => isShown(source.label));
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.globalAlpha = 1;
  const place = pictureIn(width, height), opacity = strength.value / 100;
  if (sources.length && opacity > 0) {
    drawHeat(sources, opacity);
    pen.drawImage(mixed, place.x, place.y, place.width, place.height);
  }
  for (const source of sources) drawSource(source, place);
  if (document.getElementById("names").checked) drawNames(sources, place);
  const told = sources.filter((source) => source.presence >= 0.5);
  now.textContent = (isVideo ? time.toFixed(1).replace(/^-0.0$/, "0.0") + " s: " : "") +
    (told.map((source) => result.labels[source.label] + " " + source.score.toFixed(2)).join(", ") || "nothing");
  if (isVideo) {  // the sound may go on behind the end of the timeline
    for (const line of document.querySelectorAll(".now")) {
      const x = Math.min((1000 * media.currentTime) / result.length, 1000);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  }
}

function seek(time) {
  media.currentTime = Math.min(Math.max(time - result.start, 0), media.duration || Infinity);
}

function follow() {
  draw();
  if (!media.paused && !media.ended) requestAnimationFrame(follow);
}

// A line in the spectrogram that moves with the picture's sound.
function followSound() {
  const line = document.querySelector(".playhead"), plays = !sound.paused && !sound.ended;
  line.style.left = (100 * sound.currentTime) / sound.duration + "%";
  line.style.visibility = plays ? "visible" : "hidden";
  if (plays) requestAnimationFrame(followSound);
}

strength.addEventListener("input", () => {
  document.querySelector("#controls output").value = strength.value + " %";
});
document.addEventListener("input", draw);
window.addEventListener("resize", draw);
document.addEventListener("fullscreenchange", draw);
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
if (isVideo) {
  for (const link of document.querySelectorAll("[data-time]")) link.setAttribute("href", "#stage");
  if (document.fullscreenEnabled) {  // the video's own button would leave the maps behind
    const full = document.getElementById("full");
    media.controlsList?.add("nofullscreen");
    full.hidden = false;
    full.addEventListener("click", () => document.getElementById("stage").requestFullscreen());
  }
  media.addEventListener("play", follow);
  for (const name of ["seeked", "timeupdate", "loadeddata", "pause"]) media.addEventListener(name, draw);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-time]");
    const track = event.target.closest("#timeline svg");
    if (link) seek(Number(link.dataset.time));
    if (track) {
      const place = track.getBoundingClientRect();
      seek(result.start + (result.length * (event.clientX - place.left)) / place.width);
    }
  });
} else {
  media.addEventListener("load", draw);
}
const sound = document.querySelector("audio");
if (sound) sound.addEventListener("play", followSound);
draw();
