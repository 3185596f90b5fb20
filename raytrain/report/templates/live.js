"use strict";
// Renews what a page says of runs that go on, without losing what was chosen or where one is.
setInterval(async () => {
  if (document.hidden || document.body.dataset.live !== "yes") return;
  let text;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    text = await answer.text();
  } catch { return; }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  document.body.dataset.live = fresh.body.dataset.live;
  document.title = fresh.title;
  for (const old of document.querySelectorAll("[data-renewed]")) {
    const next = fresh.getElementById(old.id);
    if (!next || next.innerHTML === old.innerHTML || old.contains(document.activeElement)) continue;
    const chosen = new Set([...old.querySelectorAll("input:checked")].map((box) => box.value));
    old.replaceChildren(...next.childNodes);
    for (const box of old.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.value);
  }
}, 3000);
