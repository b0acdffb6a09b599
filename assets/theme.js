// Light or dark on the plain pages, as chosen on the others, else as the system has it. Runs before anything is drawn.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const page = document.documentElement;
  function paint() {
    let chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch { /* storage is off: as the system has it */ }
    const theme = chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
    page.classList.remove("light", "dark");
    page.classList.add(theme);
    page.style.colorScheme = theme;
  }
  paint();
  system.addEventListener("change", paint);
})();
