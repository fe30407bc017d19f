"use strict";
(() => {
  const player = new Audio(), playing = document.getElementById("playing");
  let button = null, whole = null, queue = [];

  const press = (node, on) => node?.setAttribute("aria-pressed", String(on));

  function stop() {
    player.pause();
    press(button, false);
    button?.parentElement.classList.remove("now");
    button = null;
  }

  function end() {
    stop();
    press(whole, false);
    whole = null;
    queue = [];
  }

  function play(node) {
    stop();
    for (const other of document.querySelectorAll("audio")) other.pause();
    button = node;
    press(node, true);
    node.parentElement.classList.add("now");
    playing.textContent = node.getAttribute("aria-label");
    player.src = node.dataset.src;
    player.play().catch((error) => {
      if (error.name === "AbortError") return; // another one was started
      playing.textContent = "This sound cannot be played.";
      end();
    });
  }

  player.addEventListener("ended", () => (queue.length ? play(queue.shift()) : end()));

  for (const node of document.querySelectorAll(".play")) {
    const toggle = () => {
      const again = button === node;
      end();
      if (!again) play(node);
    };
    node.addEventListener("click", toggle);
    node.nextElementSibling.addEventListener("click", toggle); // the words too, for the mouse
  }

  for (const node of document.querySelectorAll(".all")) node.addEventListener("click", () => {
    const again = whole === node;
    end();
    if (again) return;
    whole = node;
    press(node, true);
    queue = [...node.closest(".sequence").querySelectorAll(".play")];
    play(queue.shift());
  });

  // one sound at a time
  document.addEventListener("play", (event) => {
    end();
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);
})();
