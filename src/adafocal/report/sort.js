"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0], given = [...body.rows];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const now = before === "ascending" ? "descending" : before === "descending" ? null : "ascending";
      headings.forEach(other => other.removeAttribute("aria-sort"));
      if (now) heading.setAttribute("aria-sort", now);
      const rows = now ? given.map(row => [key(row.cells[column]), row]).sort(order(now)).map(pair => pair[1]) : given;
      body.append(...rows);
    });
  });
}

// Tables that are wider than the page say so.
const mark = () => document.querySelectorAll(".scroll").forEach(one => {
  one.classList.toggle("more", one.scrollWidth > one.clientWidth + 1);
});
mark();
addEventListener("resize", mark);

function key(cell) {
  if ("sort" in cell.dataset) return Number(cell.dataset.sort);
  const text = cell.textContent.trim();
  return text === "–" ? null : text;
}

// What has no value comes last, whichever way the others stand.
function order(direction) {
  const sign = direction === "ascending" ? 1 : -1;
  return ([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
}
