// A button beside a form ([data-sends="<id of the form>"]) that sends it with one thing more: what the button says
// ([data-says]) goes into the form's hidden input "despite", for this press only.
"use strict";
(() => {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-sends]");
    const form = button && document.getElementById(button.dataset.sends);
    const field = form?.elements.namedItem("despite");
    if (!field || button.getAttribute("aria-disabled") === "true") return;
    field.value = button.dataset.says ?? "";
    form.requestSubmit();
    field.value = ""; // it has been read
  });
})();
