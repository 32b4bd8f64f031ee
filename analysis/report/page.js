"use strict";

// A click on a head sorts its column, a second one turns it round; what has no value stays last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const keys = new Map(rows.map((row) => [row, row.cells[column].dataset.value]));
      const numeric = rows.every((row) => !Number.isNaN(Number(keys.get(row))));
      rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
        return falling ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

// A link to what is folded unfolds it, and so does the printer.
function unfold() {
  const place = document.getElementById(location.hash.slice(1));
  if (place instanceof HTMLDetailsElement) place.open = true;
}
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
unfold();
