"use strict";
// Runs the page's script on a document of bare objects, and prints what it drew at some times.
const fs = require("fs");
const [script, given] = process.argv.slice(2);
const { result, times, hidden, video } = JSON.parse(given);
const code = fs.readFileSync(script, "utf8");
let drawn = [];
const pen = () => new Proxy({}, {
  get: (target, name) => {
    if (name in target) return target[name];
    if (name === "measureText") return (text) => ({ width: 7 * text.length });
    if (name === "createImageData") return (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) });
    if (name === "putImageData") return (image) => drawn.push(["heat", Math.max(...image.data.filter((_, n) => n % 4 === 3))]);
    return (...values) => {
      if (["strokeRect", "fillText"].includes(name)) drawn.push([name, ...values]);
      if (name === "stroke") drawn.push([name, values[0].points.length]);
    };
  },
  set: (target, name, value) => { target[name] = value; return true; },
});
global.Path2D = class { points = []; moveTo(x, y) { this.points.push([x, y]); } lineTo(x, y) { this.points.push([x, y]); } };
const element = (more = {}) => ({
  checked: true, value: "80", listeners: {}, dataset: {}, classList: { add() {} },
  addEventListener(name, call) { this.listeners[name] = call; },
  setAttribute(name, value) { this[name] = value; },
  getContext() { return (this.pen ??= pen()); },
  ...more,
});
const line = element();
const elements = {
  clip: element({ dataset: { result: JSON.stringify(result) } }),
  media: element({ tagName: video ? "VIDEO" : "IMG", clientWidth: 400, clientHeight: 300, currentTime: 0, duration: 10, paused: true }),
};
const byId = (id) => (elements[id] ??= element());
global.window = element({ devicePixelRatio: 1 });
global.getComputedStyle = () => ({ getPropertyValue: () => "rgb(255, 150, 0)" });
global.requestAnimationFrame = () => {};
global.document = element({
  documentElement: element(),
  getElementById: byId,
  createElement: () => element(),
  querySelector: (name) => name.startsWith("[data-label") ? element({ checked: !hidden.includes(Number(name.match(/\d+/)[0])) }) : element(),
  querySelectorAll: () => [line],
});
eval(code.replace('"use strict";', ""));
const seen = times.map((time) => {
  drawn = [];
  elements.media.currentTime = time - result.start;
  if (video) elements.media.listeners.timeupdate();
  else elements.media.listeners.load();
  return { time, now: byId("now").textContent, drawn, line: line.x1 ?? null };
});
document.listeners.click?.({ target: { closest: (name) => name === "[data-time]" ? { dataset: { time: "3.5" } } : null } });
console.log(JSON.stringify({ seen, sought: elements.media.currentTime }));
