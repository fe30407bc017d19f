"use strict";
(() => {
  const { items, names } = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20;
  const forms = Object.keys(names.forms), [first, second] = names.pair;
  const filters = document.getElementById("filters");
  const list = document.getElementById("list");
  const twins = new Map();
  for (const item of items) {
    const name = JSON.stringify([item.task, item.lang, item.key]);
    if (!twins.has(name)) twins.set(name, []);
    twins.get(name).push(item);
    item.twins = twins.get(name);
  }
  let shown = items, page = 0, opened = null;

  // Everything is made by this: text is only ever text, so nothing in an answer can become markup.
  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") node.addEventListener("click", value);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  };
  const ok = (item, form) => (item.forms[form] ? item.forms[form].ok : undefined);
  const language = (item) => (item.lang === "cn" ? "zh" : item.lang);

  const OUTCOMES = {
    lost: (item) => ok(item, first) === false && ok(item, second) === true,
    gained: (item) => ok(item, first) === true && ok(item, second) === false,
    passes: (item) => ok(item, first) === true,
    fails: (item) => ok(item, first) === false,
    both: (item) => ok(item, first) === false && ok(item, second) === false,
    open: (item) => Object.values(item.forms).some((answer) => answer.ok === null),
  };
  const text = (item) => {
    const answers = Object.values(item.forms).map((answer) => answer.text);
    return item.text ??= [item.id, item.prompt, item.clean, item.transcript, ...answers].join("\n").toLowerCase();
  };

  function chosen() {
    return Object.fromEntries([...new FormData(filters)].filter(([, value]) => value.trim()));
  }

  function apply() {
    const want = chosen(), query = (want.q || "").trim().toLowerCase();
    shown = items.filter((item) =>
      ["task", "lang", "variant"].every((name) => !want[name] || item[name] === want[name]) &&
      (!want.kind || item.checks.some(([kind]) => kind === want.kind)) &&
      (!want.outcome || OUTCOMES[want.outcome](item)) &&
      (!query || text(item).includes(query)));
    page = 0;
    opened = null;
    draw();
  }

  const change = () => { apply(); remember(chosen()); };
  const clear = () => { for (const field of filters.elements) if (field.name) field.value = ""; };

  // The choice is in the address, so that it can be sent; a browser that forbids it only loses that.
  function remember(want) {
    const query = new URLSearchParams(want).toString();
    try {
      history.replaceState(null, "", query ? `#${query}` : location.pathname + location.search);
    } catch { /* it stays as it is */ }
  }

  function recall() {
    if (!location.hash.includes("=")) return apply();
    const want = new URLSearchParams(location.hash.slice(1));
    for (const field of filters.elements) if (field.name) field.value = want.get(field.name) ?? "";
    apply();
    const item = items.find((each) => each.id === want.get("item"));
    if (item) show(item);
    document.getElementById("items").scrollIntoView();
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    list.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(card));
    const [some, all] = [shown, items].map((each) => each.length.toLocaleString("en"));
    document.getElementById("count").textContent = shown.length
      ? `${some} of ${all} items` : "No item matches. Clear a filter.";
    document.getElementById("page").textContent = `Page ${page + 1} of ${pages}`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page >= pages - 1;
    document.getElementById("pages").hidden = pages === 1;
  }

  const SIGNS = { true: ["pass", "✓", "passes"], false: ["fail", "✗", "fails"], null: ["open", "?", "no verdict"] };
  const signed = (sign, word) => [el("b", { "aria-hidden": "true" }, sign), el("span", { class: "unseen" }, word)];

  function verdict(item, form) {
    const [kind, sign, word] = SIGNS[item.forms[form].ok];
    return el("span", { class: `chip ${kind}` }, `${names.forms[form][0]} `, signed(sign, word));
  }

  function card(item) {
    const open = item === opened;
    const attributes = { type: "button", class: "head", "aria-expanded": String(open), onclick: () => toggle(item) };
    const head = el("button", attributes,
      el("span", { class: "prompt", lang: language(item) }, item.prompt),
      el("span", { class: "tags" }, el("span", { class: "tag" }, names.variants[item.variant] ?? item.variant),
        forms.filter((form) => item.forms[form]).map((form) => verdict(item, form))));
    return el("article", { class: open ? "item open" : "item", "data-id": item.id }, head, open ? detail(item) : null);
  }

  function toggle(item) {
    opened = item === opened ? null : item;
    draw();
    const head = [...list.children].find((node) => node.dataset.id === item.id)?.querySelector(".head");
    head?.focus({ preventScroll: true });
    head?.scrollIntoView({ block: "nearest" });
    remember(opened ? { ...chosen(), item: item.id } : chosen());
  }

  function show(item) {
    if (!shown.includes(item)) { clear(); apply(); }
    page = Math.floor(shown.indexOf(item) / PAGE);
    opened = null;
    toggle(item);
  }

  function detail(item) {
    const answers = forms.filter((form) => item.forms[form]);
    return el("div", { class: "detail" },
      el("div", { class: "said" }, player(item), facts(item), twin(item)),
      el("div", { class: "words" }, item.clean ? words("Clean wording", item, item.clean) : null, understood(item)),
      matrix(item, answers),
      el("div", { class: "answers" }, answers.map((form) => answer(item, form))));
  }

  const quiet = (value) => el("p", { class: "quiet" }, value);
  const words = (title, item, ...value) =>
    el("div", {}, el("h4", {}, title), el("p", { lang: language(item) }, ...value));
  const player = (item) => item.audio
    ? el("audio", { controls: "", preload: "none", src: item.audio, "aria-label": `Audio of ${item.id}` })
    : quiet("No audio: this item is only read.");

  function understood(item) {
    if (item.transcript === null) return null;
    const block = words("Transcript of our recogniser", item, ...(item.transcript.trim() ? compared(item) : ["(nothing)"]));
    if (names.forms.cascade) block.append(quiet("The forms cascade and ASR + LM read this transcript; the form heard gets the audio. Marked: unlike the prompt."));
    return block;
  }

  function facts(item) {
    const sound = item.voice ? [["voice", item.voice], ["length", `${item.seconds} s`]] : [];
    const rows = [["item", item.id], ["task", item.task], ...sound, ...item.notes];
    return el("dl", {}, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  function twin(item) {
    const others = item.twins.filter((other) => other !== item);
    const link = (other) => el("button", { type: "button", class: "link", onclick: () => show(other) },
      names.variants[other.variant] ?? other.variant);
    return others.length ? el("div", { class: "twins" }, el("h4", {}, "Same item in other variants"), others.map(link)) : null;
  }

  function asked(item) {
    if (item.task === "closed") return item.checks.map(([, name, rule]) => [name, rule]);
    if (item.task === "open") return item.questions.map((question, place) => [`Question ${place + 1}`, question]);
    return [["Correction", "follows the instruction as corrected"], ["Before", "drops the instruction before the correction"]];
  }

  const MARKS = { pass: ["✓", "pass"], loose: ["~", "loose only"], fail: ["✗", "fail"], none: ["?", "no verdict"] };
  function matrix(item, answers) {
    const cell = (form, place) => {
      const kind = item.forms[form].marks[place] ?? "none", [sign, word] = MARKS[kind];
      return el("td", {}, el("span", { class: `mark ${kind}`, title: word }, signed(sign, word)));
    };
    const row = ([name, rule], place) => el("tr", {},
      el("th", { scope: "row", lang: item.task === "open" ? language(item) : null }, el("b", {}, name), " ", rule),
      answers.map((form) => cell(form, place)));
    const title = item.task === "closed" ? "Check: the answer …" : "Asked of the answer";
    const head = el("tr", {}, el("th", { scope: "col" }, title),
      answers.map((form) => el("th", { scope: "col" }, names.forms[form][0])));
    return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Verdicts" },
      el("table", { class: "matrix" }, el("thead", {}, head), el("tbody", {}, asked(item).map(row))));
  }

  function answer(item, form) {
    const { text: said, why, marks } = item.forms[form], [short, long] = names.forms[form];
    const passed = marks.filter((mark) => mark === "pass").length;
    const place = { class: "text", lang: language(item), tabindex: "0", role: "group", "aria-label": `Answer, ${short}` };
    return el("section", { class: `answer ${form}` },
      el("h4", {}, el("i", { class: `key ${form}`, "aria-hidden": "true" }), short, el("small", {}, long)),
      said.trim() ? el("div", place, said) : el("div", { class: "text quiet" }, "(an empty answer)"),
      quiet(why ? `No verdict: ${why}` : `${passed} of ${marks.length} followed`));
  }

  // best[i][j]: the length of the longest common subsequence of a from i and b from j
  function common(a, b) {
    const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
      }
    }
    return best;
  }

  // The transcript, marked where it is not the prompt, by words (characters in Chinese), at most 400 of each.
  function compared(item) {
    const cut = (value) => (item.lang === "cn" ? Array.from(value) : value.split(/\s+/)).filter(Boolean).slice(0, 400);
    const plain = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
    const said = cut(item.prompt).filter(plain), heard = cut(item.transcript);
    const a = said.map(plain), b = heard.map(plain), best = common(a, b);
    const gap = item.lang === "cn" ? "" : " ", out = [];
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      if (i < a.length && j < b.length && a[i] === b[j]) { out.push(heard[j++] + gap); i++; }
      else if (j < b.length && !b[j]) out.push(heard[j++] + gap);
      else if (j < b.length && (i === a.length || best[i][j + 1] >= best[i + 1][j])) {
        out.push(el("ins", {}, heard[j++]), gap);
      }
      else out.push(el("del", {}, said[i++]), gap);
    }
    return out;
  }

  let timer;
  filters.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(change, event.target.name === "q" ? 150 : 0);
  });
  filters.addEventListener("submit", (event) => { event.preventDefault(); change(); });
  filters.addEventListener("reset", () => setTimeout(change)); // the fields are emptied after the event
  const turn = (by) => { page += by; opened = null; draw(); document.getElementById("count").scrollIntoView(); };
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  for (const button of document.querySelectorAll("[data-kind]")) button.addEventListener("click", () => {
    clear();
    filters.elements.kind.value = button.dataset.kind;
    filters.elements.lang.value = button.dataset.lang;
    change();
    document.getElementById("items").scrollIntoView();
  });
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) recall(); });
  recall();
})();
