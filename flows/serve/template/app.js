"use strict";
(() => {
  const RATE = 16000, find = (id) => document.getElementById(id);
  const talk = find("talk"), state = find("state"), record = find("record"), text = find("text");
  const messages = []; // what the server is sent: the whole conversation
  let clip = null; // {base64, url, blob} of the sound of this turn
  let recorder = null, stopping = null, model;

  const made = (tag, name, content = "") => Object.assign(document.createElement(tag), { className: name, textContent: content });
  function tell(line, failed = false) {
    state.textContent = line;
    state.classList.toggle("failed", failed);
  }
  const headers = (more = {}) => (find("key").value ? { ...more, Authorization: `Bearer ${find("key").value}` } : more);

  async function problem(response) {
    const body = await response.json().catch(() => null);
    return new Error(body?.error?.message || `The server answered ${response.status}.`);
  }

  // Sound of any kind that the browser plays -> a 16 kHz mono wav file
  async function wav(blob) {
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
    const samples = new Float32Array(sound.length);
    for (let c = 0; c < sound.numberOfChannels; c++) sound.getChannelData(c).forEach((v, i) => (samples[i] += v / sound.numberOfChannels));
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const write = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
    write(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); write(8, "WAVEfmt ");
    [[16, 4, 16], [20, 2, 1], [22, 2, 1], [24, 4, RATE], [28, 4, 2 * RATE], [32, 2, 2], [34, 2, 16]].forEach(([at, size, value]) =>
      size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true));
    write(36, "data"); view.setUint32(40, 2 * samples.length, true);
    samples.forEach((v, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, v)) * 32767, true));
    return new Blob([view], { type: "audio/wav" });
  }

  const base64 = (blob) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",", 2)[1]);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });

  function drop() {
    clip = null;
    find("clip").hidden = true;
    find("preview").removeAttribute("src");
  }

  async function keep(blob) {
    try {
      const file = await wav(blob);
      clip = { blob: file, base64: await base64(file), url: URL.createObjectURL(file) };
      find("preview").src = clip.url;
      find("clip").hidden = false;
      tell("");
    } catch {
      drop();
      tell("This sound cannot be read. Choose a wav, flac, ogg or mp3 file, or speak.", true);
    }
  }

  async function start() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const parts = [];
      recorder = new MediaRecorder(stream);
      recorder.ondataavailable = (event) => parts.push(event.data);
      stopping = new Promise((done) => (recorder.onstop = () => {
        stream.getTracks().forEach((track) => track.stop());
        done(new Blob(parts, { type: recorder.mimeType }));
      }));
      recorder.start();
      pressed(true);
      waiting(true, ["send", "again", "file"]);
      tell("Recording. Press Stop and send when you have spoken.");
    } catch (error) {
      recorder = null;
      const secure = window.isSecureContext ? "" : " Browsers record only on localhost and over https.";
      tell(`The microphone cannot be used (${error.message}).${secure}`, true);
    }
  }

  function pressed(on) {
    record.setAttribute("aria-pressed", String(on));
    record.querySelector(".name").textContent = on ? "Stop and send" : "Speak";
  }

  async function stop() {
    recorder.stop();
    pressed(false);
    waiting(false, ["send", "again", "file"]);
    await keep(await stopping);
    recorder = null;
    if (clip) await send();
  }

  function turn(role, title) {
    const item = made("li", `turn ${role}`);
    item.append(made("h2", "", title));
    talk.append(item);
    return item;
  }

  // What the model hears, under the recording. A model that writes nothing down says so.
  async function hear(blob, line) {
    const form = new FormData();
    form.append("file", blob, "clip.wav");
    try {
      const response = await fetch("v1/audio/transcriptions", { method: "POST", body: form, headers: headers() });
      if (!response.ok) throw await problem(response);
      const heard = (await response.json()).text;
      line.textContent = heard ? "Heard: " : "Heard: nothing.";
      if (heard) line.append(made("q", "", heard));
    } catch (error) {
      line.textContent = `What was heard is not known: ${error.message}`;
    }
  }

  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", got; !(got = await reader.read()).done;) {
      const blocks = (rest + got.value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ") && block !== "data: [DONE]") yield JSON.parse(block.slice(6));
    }
  }

  async function answer(item) {
    const said = made("p", "said");
    item.append(said);
    item.classList.add("busy");
    try {
      const body = { messages, stream: true, model };
      if (find("tokens").value) body.max_completion_tokens = Number(find("tokens").value);
      const response = await fetch("v1/chat/completions", {
        method: "POST", body: JSON.stringify(body), headers: headers({ "Content-Type": "application/json" }),
      });
      if (!response.ok) throw await problem(response);
      for await (const event of events(response)) {
        if (event.error) throw new Error(event.error.message);
        const choice = event.choices[0];
        said.textContent += choice?.delta.content || "";
        if (choice?.finish_reason === "length") item.append(made("p", "quiet", "The answer ends here because it may have no more tokens (Settings)."));
        find("model").textContent = event.model;
      }
      if (!said.textContent) said.append(made("span", "heard", "(an empty answer)"));
      messages.push({ role: "assistant", content: said.textContent });
      return true;
    } catch (error) {
      item.append(made("p", "failed", error.message));
      messages.pop(); // the next turn does not carry what was refused
      return false;
    } finally {
      item.classList.remove("busy");
    }
  }

  async function send() {
    const written = text.value.trim();
    if (!clip && !written) return tell("Speak, choose a file, or write something first.", true);
    const sent = clip, parts = [];
    const item = turn("user", "You");
    if (sent) {
      parts.push({ type: "input_audio", input_audio: { data: sent.base64, format: "wav" } });
      const player = made("audio", "");
      Object.assign(player, { controls: true, src: sent.url });
      player.setAttribute("aria-label", "What you said");
      item.append(player);
    }
    if (written) { parts.push({ type: "text", text: written }); item.append(made("p", "said", written)); }
    drop();
    text.value = "";
    messages.push({ role: "user", content: parts });
    busy(true);
    tell("The model is at work.");
    const line = made("p", "heard", "Heard: …");
    if (sent) item.append(line);
    const reply = turn("assistant", "Model");
    const [, done] = await Promise.all([sent && hear(sent.blob, line), answer(reply)]);
    busy(false);
    tell(done ? "" : "The model did not answer. Its reason is above.", !done);
  }

  function waiting(on, ids) {
    for (const id of ids) find(id).disabled = on;
  }

  function busy(on) {
    waiting(on, ["record", "send", "again", "file"]);
    talk.setAttribute("aria-busy", String(on));
  }

  record.addEventListener("click", () => (recorder ? stop() : start()));
  find("file").addEventListener("change", async (event) => {
    if (event.target.files[0]) await keep(event.target.files[0]);
    event.target.value = "";
  });
  find("drop").addEventListener("click", drop);
  find("say").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); if (!find("send").disabled) send(); }
  });
  find("again").addEventListener("click", () => { messages.length = 0; talk.replaceChildren(); drop(); tell(""); });

  fetch("health").then((response) => response.json()).then((body) => (find("model").textContent = body.model)).catch(() => {});
})();
