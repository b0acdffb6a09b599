// Light or dark on the plain pages of ours (/auth/two-factor), as chosen on the others. Runs before anything is drawn.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is off: as the system has it */ }
  const theme = chosen === "light" || chosen === "dark" ? chosen : dark;
  document.documentElement.classList.add(theme);
  document.documentElement.style.colorScheme = theme;
})();
