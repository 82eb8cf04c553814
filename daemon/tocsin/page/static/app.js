// What the page does by itself; without it all can be read and every form works.
"use strict";
const root = document.documentElement, body = document.body;
const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- theme
const dark = () => getComputedStyle(root).colorScheme === "dark";
$("[data-theme-toggle]").addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* storage is off */ }
  $$(".chart").forEach(draw);
});

// ---- ages, counted here so that the server sends nothing for it; worded as alerts.wording.span_text has them
function span(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600);
  if (minutes < 2) return `${seconds} s`;
  if (hours < 2) return `${minutes} min`;
  const [large, small, unit] = hours < 48 ? [`${hours} h`, minutes % 60, "min"] : [`${Math.floor(hours / 24)} d`, hours % 24, "h"];
  return small ? `${large} ${small} ${unit}` : large;
}
function ages() {
  for (const time of $$("time[data-age]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - new Date(time.dateTime)) / 1000));
    const text = `${span(seconds)} ${time.dataset.age}`.trim();
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(ages, 1000);

// ---- live: the stream says what changed; all of that is fetched at once, and htmx morphs it
const SOON = 150, AGAIN = 3000, GREY_AFTER = 10000, HELLO_WITHIN = 15000, SILENT_FOR = 35000, ANSWERS_WITHIN = 20000, POLL_EVERY = 15000; // milliseconds
const FAILED = "that didn't work", UNANSWERED = `${FAILED}: Tocsin doesn't answer`;
// Of a change that was answered by anything but yes: in our words, be they text or JSON's; a proxy's page says nothing to people.
function failure(text) {
  let why = text.trim();
  try { why = `${JSON.parse(why).error ?? ""}`; } catch { /* it is text */ }
  return why && !why.startsWith("<") ? `${FAILED}: ${why}` : FAILED;
}
const news = new Set();
let source, grey, brokenAt, fetching, again, silent, refused, gone;
const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const topicsOf = (part) => part.dataset.topics.split(" ").filter(Boolean);
// What couldn't be read is looked at again, though nothing may be told of it; an error is kept for 10 s.
setInterval(() => document.hidden || $$("[data-part]:has([data-unavailable])").flatMap(topicsOf).forEach(changed), 12000);
const topics = () => new Set($$("[data-part]").flatMap(topicsOf));
function changed(topic) {
  news.add(topic);
  fetching ||= fetchNews().finally(() => { fetching = undefined; });
}
async function fetchNews() {
  await pause(0); // what is told in one piece is fetched in one
  while (news.size) {
    const told = new Set(news), address = new URL(location.href);
    news.clear();
    for (const part of $$("[data-part]")) if (gone || topicsOf(part).some((topic) => told.has(topic))) address.searchParams.append("part", part.dataset.part);
    const answer = await fetch(address, { headers: { Accept: "text/html", "HX-Request": "true" }, signal: AbortSignal.timeout(ANSWERS_WITHIN) }).catch(() => undefined);
    if (answer?.status === 401) { location.reload(); return; }
    const parts = answer?.ok ? await answer.text().catch(() => undefined) : undefined;
    if (parts) swap(parts);
    // A rule that a reload took out, an alert that is kept no longer: what is typed and shown here stays, and says so.
    if ([404, 409].includes(answer?.status)) { if (!gone) { gone = true; stale("gone: this isn't there any more"); } }
    else if (refused) { if (parts) polled(); else broken(); }
    else if (parts && gone) fresh("live");
    const failed = (!answer || answer.status >= 500) && !brokenAt; // once the stream is back all is fetched
    if (failed) told.forEach((topic) => news.add(topic));
    await pause(failed ? AGAIN : SOON);
  }
}
const unfolded = new Set(); // ids, also of what isn't there at the moment
// What somebody unfolded stays so. Who stands in a row stays in it, also where that moves (browsers without moveBefore forget it) or what had the focus is gone.
function swap(parts) {
  const had = document.activeElement, id = had.closest("[data-part] [id]")?.id;
  noteBeside();
  const stood = acting();
  for (const each of $$("details[id]")) unfolded[each.open ? "add" : "delete"](each.id);
  htmx.swap(body, parts, { swapStyle: "none" });
  for (const each of $$("details[id]")) each.open = unfolded.has(each.id);
  moved(stood);
  if (had === body || document.activeElement !== body) return;
  const row = id && document.getElementById(id);
  (had.isConnected ? had : row && ($(".t a", row) || $("a, button", row)))?.focus({ preventScroll: true });
}
// ---- presses: what came to where it stands only just now, nobody meant to press there
const STANDS_AFTER = 1200; // milliseconds
const ACTING = "main form[method=post] button, main a[data-dialog], #toast button", came = new Map();
const actOf = (button) => `${button.href ?? button.form?.getAttribute("action")} ${button.name}=${button.value}`;
const acting = () => new Map($$(ACTING).filter((each) => each.getClientRects().length).map((each) => [actOf(each), each.getBoundingClientRect()]));
// Of each that isn't where it stood: since when, and where that was (undefined: nowhere).
function moved(stood) {
  const at = performance.now();
  for (const [act, since] of came) if (at - since.at >= STANDS_AFTER) came.delete(act);
  for (const [act, box] of acting()) {
    const before = stood.get(act);
    if (before?.x !== box.x || before.y !== box.y) came.set(act, { at, before: came.has(act) ? came.get(act).before : before });
  }
}
// A key presses what has the focus, wherever that stands by now.
const meant = ({ before }, { detail, clientX: x, clientY: y }) => before && (!detail || (x >= before.left && x <= before.right && y >= before.top && y <= before.bottom));
addEventListener("click", (event) => {
  const button = event.target.closest?.(ACTING), since = button && came.get(actOf(button));
  if (!since || performance.now() - since.at >= STANDS_AFTER || meant(since, event)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  toast("What came here just now wasn't pressed.", undoing);
}, true);

function broken() {
  if (brokenAt) return;
  brokenAt = new Date();
  const at = brokenAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: body.dataset.tz || undefined });
  stale(`not live since ${at}`);
}
// What is shown may be so no longer.
function stale(word) {
  body.dataset.broken = "";
  $("#live").textContent = word;
  clearTimeout(grey);
  grey = setTimeout(() => { body.dataset.away = ""; }, GREY_AFTER);
}
// What is shown is so; `word` says how it stays so.
function fresh(word) {
  brokenAt = undefined;
  gone = false;
  clearTimeout(grey);
  delete body.dataset.away;
  delete body.dataset.broken;
  $("#live").textContent = word;
}
// So many windows of one person have a stream; those beyond that look by themselves, and try again to have one.
const polled = () => fresh(`looks every ${POLL_EVERY / 1000} s: too many windows`);
// A daemon that stands still, or a network that is gone, ends no stream.
function heard(within = SILENT_FOR) {
  clearTimeout(silent);
  silent = setTimeout(() => { broken(); connect(); }, within);
}
function connect() {
  if (source) source.close();
  heard(brokenAt ? SILENT_FOR : HELLO_WITHIN);
  source = new EventSource(body.dataset.live);
  source.addEventListener("hello", (event) => {
    if (event.data !== body.dataset.version) { location.reload(); return; }
    heard();
    refused = false;
    fresh("live");
    topics().forEach(changed);
  });
  for (const topic of topics()) source.addEventListener(topic, () => { heard(); changed(topic); });
  source.addEventListener("beat", () => heard());
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) { broken(); return; }
    refused = true; // too many look, or signed out
    clearTimeout(silent);
    again = setTimeout(watch, POLL_EVERY);
    topics().forEach(changed);
  };
}
function leave() { clearTimeout(silent); source?.close(); }
// A browser has six connections for all its tabs: who doesn't look leaves them to the others.
function watch() {
  clearTimeout(again);
  if (document.hidden) leave(); else connect();
}
watch();
document.addEventListener("visibilitychange", watch);
addEventListener("pagehide", leave);
htmx.config.timeout = ANSWERS_WITHIN;
for (const unanswered of ["htmx:sendError", "htmx:timeout"]) body.addEventListener(unanswered, (event) => {
  if (event.detail.requestConfig?.verb !== "get") toast(UNANSWERED);
});
// No stream tells such a window what it changed.
body.addEventListener("htmx:afterRequest", (event) => {
  if (refused && event.detail.requestConfig?.verb !== "get") topics().forEach(changed);
});
// 202: done, but it may not last; the text says why.
const DONE = { ack: "Acknowledged.", unack: "Taken back." };
body.addEventListener("htmx:afterRequest", ({ detail: { successful, requestConfig, xhr } }) => {
  const address = requestConfig?.path ?? "", act = address.split("/").pop();
  const undo = () => htmx.ajax("POST", address.replace(/ack$/, "unack"), { swap: "none" }).catch(() => undefined); // which htmx:sendError tells
  const said = xhr.status === 202 ? xhr.responseText : DONE[act];
  if (successful && said) toast(said, act === "ack" ? undo : undefined);
});
body.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) location.reload();
  else if (event.detail.requestConfig.verb !== "get") toast(failure(event.detail.xhr.responseText));
});

// ---- charts: drawn by uPlot over the server's own
const plots = new WeakMap();
function options(chart, plot) {
  const data = plot.data, lasts = data[0].at(-1) - data[0][0];
  const timeZone = body.dataset.tz || undefined; // the config's
  const clock = { timeZone, hour: "2-digit", minute: "2-digit", second: lasts < 600 ? "2-digit" : undefined, hour12: false };
  const format = new Intl.DateTimeFormat(undefined, lasts > 172800 ? { timeZone, day: "numeric", month: "short" } : clock);
  const axis = { stroke: css("--muted"), grid: { stroke: css("--line2"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui" };
  return {
    width: chart.clientWidth, height: +chart.dataset.height, cursor: { y: false }, legend: { show: false }, padding: [10, 32, 0, 0],
    scales: { y: { range: (_, low, high) => bounds(low, high, plot.lines) } },
    series: [{}, ...plot.series.map((each) => ({
      label: each.label, stroke: css(`--${each.tone}`), width: 1.75, points: { show: false }, spanGaps: true,
      paths: each.steps ? uPlot.paths.stepped({ align: 1 }) : undefined, fill: each.fill ? css(`--${each.tone}-bg`) : undefined,
    }))],
    axes: [{ ...axis, size: 28, space: 64, values: (_, at) => at.map((time) => format.format(time * 1000)) }, { ...axis, size: 58, space: 34 }],
    hooks: { drawClear: [(u) => shades(u, plot.shades)], draw: [(u) => limits(u, plot.lines)] },
  };
}
function bounds(low, high, lines) {
  const all = [low, high, ...lines.map((line) => line.at)], min = Math.min(...all), max = Math.max(...all);
  const room = (max - min || Math.abs(max) || 1) * 0.06;
  return [min - room, max + room];
}
function shades(u, found) {
  for (const [begun, ended, tone] of found) {
    const from = u.valToPos(begun, "x", true), to = u.valToPos(ended, "x", true);
    u.ctx.fillStyle = css(`--${tone}-bg`);
    u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
  }
}
function limits(u, lines) {
  const c = u.ctx, dpr = devicePixelRatio, lowest = Math.min(...lines.map((line) => line.at));
  for (const line of lines) {
    const y = u.valToPos(line.at, "y", true);
    c.save();
    c.strokeStyle = c.fillStyle = css(`--${line.tone}`);
    c.setLineDash([6 * dpr, 4 * dpr]);
    c.lineWidth = 1.25 * dpr;
    c.beginPath(); c.moveTo(u.bbox.left, y); c.lineTo(u.bbox.left + u.bbox.width, y); c.stroke();
    c.font = `600 ${11.5 * dpr}px system-ui`;
    c.textAlign = "left";
    const below = lines.length > 1 && line.at === lowest; // of two that are close neither covers the other
    c.fillText(line.label, u.bbox.left + 8 * dpr, y + (below ? 14 : -5) * dpr);
    c.restore();
  }
}
function draw(chart) {
  const text = chart.dataset.chart, known = plots.get(chart);
  const plot = JSON.parse(text);
  known?.plot.destroy();
  chart.replaceChildren();
  plots.set(chart, { text, plot: new uPlot(options(chart, plot), plot.data, chart) });
}
function charts() { for (const chart of $$(".chart[data-chart]")) if (plots.get(chart)?.text !== chart.dataset.chart) draw(chart); }
// A chart that is drawn keeps its canvas: only its data are taken over.
Idiomorph.defaults.callbacks.beforeNodeMorphed = (before, after) => {
  if (before.nodeType !== 1 || !before.matches?.(".chart[data-chart]") || !after.dataset?.chart || !plots.has(before)) return true;
  const known = plots.get(before), plot = JSON.parse(after.dataset.chart), old = JSON.parse(before.dataset.chart);
  const alike = JSON.stringify([plot.series, plot.lines]) === JSON.stringify([old.series, old.lines]);
  before.dataset.chart = after.dataset.chart;
  before.setAttribute("aria-label", after.getAttribute("aria-label"));
  if (alike && !plot.shades.length) { known.text = after.dataset.chart; known.plot.setData(plot.data); } else draw(before);
  return false;
};
let resized;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => $$(".chart[data-chart]").forEach(draw), 150); });

// ---- title, icon, and what is said to who doesn't see
const NAMED_WITHIN = 3000; // milliseconds: the list comes by a fetch of its own, and not every screen has it
let seen = new Set(($("[data-critical]")?.dataset.critical || "").split(" ").filter(Boolean)), saidAt = 0;
const unsaid = new Map();
function shout() {
  const words = [];
  for (const [id, since] of unsaid) {
    const name = $(`[data-alert="${CSS.escape(id)}"] .t a`)?.textContent;
    if (!name && Date.now() - since < NAMED_WITHIN) continue;
    words.push(name || "an alert fires");
    unsaid.delete(id);
  }
  if (words.length) $("#shout").textContent = `critical: ${words.join("; ")}`;
}
setInterval(shout, 1000);
function afterwards() {
  ages();
  charts();
  const nav = $("[data-firing]");
  if (!nav) return;
  const firing = +nav.dataset.firing, name = document.title.replace(/^\d+ firing · /, "");
  document.title = firing ? `${firing} firing · ${name}` : name;
  $("link[rel=icon]").href = firing ? body.dataset.iconFiring : body.dataset.icon;
  const critical = nav.dataset.critical.split(" ").filter(Boolean);
  for (const id of critical) if (!seen.has(id)) unsaid.set(id, Date.now());
  seen = new Set(critical);
  shout();
  if (Date.now() - saidAt > 10000) {
    const text = `${firing} firing`;
    if ($("#say").textContent !== text) { $("#say").textContent = text; saidAt = Date.now(); }
  }
}
body.addEventListener("htmx:afterSettle", afterwards);
afterwards();
$(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

// ---- dialogs: the form's own page, without its frame
const dialog = $("#dialog");
let opener;
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  opener = link;
  const address = new URL(link.href);
  address.searchParams.set("part", "form");
  const asked = { headers: { Accept: "text/html", "HX-Request": "true" }, signal: AbortSignal.timeout(ANSWERS_WITHIN) };
  const answer = await fetch(address, asked).catch(() => undefined);
  if (!answer) { toast(UNANSWERED); return; }
  if (answer.status === 401) { location.reload(); return; }
  if (!answer.ok) { location.assign(link.href); return; }
  dialog.innerHTML = await answer.text();
  htmx.process(dialog);
  dialog.showModal();
});
document.addEventListener("click", (event) => { if (event.target.closest?.("[data-close]")) { event.preventDefault(); dialog.close(); } });
dialog.addEventListener("close", () => { dialog.replaceChildren(); opener?.focus(); });

// ---- a word at the bottom, with a way back for five seconds
let toasted, undoing;
function toast(text, undo) {
  const box = $("#toast"), stood = acting();
  undoing = undo;
  box.replaceChildren(text);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button"; button.className = "linkish"; button.textContent = "Undo";
    button.addEventListener("click", undoLast);
    box.append(button);
  }
  box.hidden = false;
  moved(stood);
  clearTimeout(toasted);
  toasted = setTimeout(untoast, 5000);
}
function untoast() { $("#toast").hidden = true; undoing = undefined; }
function undoLast() {
  const undo = undoing;
  untoast();
  undo?.();
}

// ---- keys: j k Enter a s / ? Esc; not in fields, and not where they are switched off
const keysOn = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
const keysButton = $("[data-keys]");
function nameKeys() { keysButton.textContent = keysOn() ? "Keys are on" : "Keys are off"; keysButton.hidden = false; }
keysButton.addEventListener("click", () => { try { localStorage.setItem("keys", keysOn() ? "off" : "on"); } catch { /* storage is off */ } nameKeys(); });
nameKeys();
let chosen, beside = {};
const placeOf = (all, id) => all.findIndex((each) => each.dataset.alert === id);
// What stood beside the chosen one until it was acknowledged, which moves it: from there one goes on.
function noteBeside() {
  const all = $$(".alert[data-alert]"), place = placeOf(all, chosen);
  if (place < 0) return;
  const acked = all[place].classList.contains("acked");
  if (beside.of === chosen && beside.acked !== acked) return;
  beside = { of: chosen, acked, [1]: all[place + 1]?.dataset.alert, [-1]: all[place - 1]?.dataset.alert };
}
function choose(step) {
  noteBeside();
  const all = $$(".alert[data-alert]");
  if (!all.length) return;
  const place = placeOf(all, chosen), known = beside.of === chosen ? placeOf(all, beside[step]) : -1;
  const next = all[known >= 0 ? known : Math.min(Math.max(place + step, 0), all.length - 1)];
  all.forEach((each) => each.classList.toggle("chosen", each === next));
  chosen = next.dataset.alert;
  noteBeside();
  $(".t a", next).focus();
}
const current = () => (chosen && $(`.alert[data-alert="${CSS.escape(chosen)}"]`)) || $("[data-one-alert]");
const chooseFirst = () => toast($(".alert[data-alert]") ? "choose one with j" : "no alert is here");
function acknowledge() {
  if (!current()) { chooseFirst(); return; }
  const form = $("form[action$='/ack']", current());
  if (form) form.requestSubmit(); else toast("there is nothing to acknowledge");
}
function silence() {
  const link = current() || !$(".alert[data-alert]") ? $("a[data-dialog]", current() || document) : undefined;
  if (link) link.click(); else chooseFirst();
}
const KEYS = {
  j: () => choose(1), k: () => choose(-1), a: acknowledge,
  Enter: () => { if (current() && document.activeElement === body) $(".t a", current())?.click(); },
  s: silence, u: () => { if (undoing) undoLast(); },
  "/": () => { const field = $("[data-filter]"); if (field) field.focus(); else location.assign(`${body.dataset.root}alerts#filter`); },
  "?": () => toast("j k: next and previous alert · Enter: open · a: acknowledge · u: undo that · s: silence · /: filter · Esc: close"),
};
addEventListener("keydown", (event) => {
  if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input,select,textarea") || dialog.open) return;
  const does = KEYS[event.key];
  if (!does || (event.key === "Enter" && event.target !== body)) return;
  event.preventDefault();
  does();
});
body.addEventListener("htmx:afterSettle", () => { if (chosen) $(`.alert[data-alert="${CSS.escape(chosen)}"]`)?.classList.add("chosen"); });
