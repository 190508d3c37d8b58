"use strict";
// Without this script all of the page is there: it sorts tables, reads values off pictures, and folds.
(() => {
  const make = (tag, fields = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), fields);
    made.append(...children);
    return made;
  };
  const hint = make("p", { className: "soft" }, "Select a column heading to sort its table. Point at a picture, or reach it with the tab key and use the arrow keys, to read its values.");

  // Tables: a button in each heading, and a list of headings where a narrow page hides them.
  const key = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent.trim();
  const compare = (one, other) => {
    const [a, b] = [one, other].map(Number);
    return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other, undefined, { numeric: true }) : a - b;
  };
  const missing = (text) => text === "-" || text === "";

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const first = [...body.rows];
    if (first.length < 2) return;
    const titles = heads.map((head) => head.textContent);
    const shown = Number(table.dataset.shown || first.length);
    let all = false;
    const cut = () => [...body.rows].forEach((row, at) => { row.hidden = !all && at >= shown; });
    const sort = (at, descending) => {
      const rows = [...first].sort((one, other) => {
        const [a, b] = [key(one, at), key(other, at)];
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return descending ? compare(b, a) : compare(a, b);
      });
      body.append(...rows);
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[at].setAttribute("aria-sort", descending ? "descending" : "ascending");
      cut();
    };
    const isNumber = (at) => first.some((row) => row.cells[at].dataset.value !== undefined);
    heads.forEach((head, at) => {
      const press = () => sort(at, head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : isNumber(at));
      head.replaceChildren(make("button", { type: "button", onclick: press }, titles[at]));
    });
    const list = make("select", { onchange: () => {
      if (list.value === "") { body.append(...first); heads.forEach((head) => head.removeAttribute("aria-sort")); cut(); }
      else sort(Number(list.value), isNumber(Number(list.value)));
    } }, make("option", { value: "" }, "as it stands"), ...titles.map((title, at) => make("option", { value: String(at) }, title)));
    table.before(make("label", { className: "by" }, "Sort by ", list));
    if (first.length > shown) {
      const more = make("button", { type: "button", className: "more", onclick: () => {
        all = !all;
        more.textContent = all ? `Show ${shown} only` : `Show all ${first.length}`;
        more.setAttribute("aria-expanded", String(all));
        cut();
      } }, `Show all ${first.length}`);
      more.setAttribute("aria-expanded", "false");
      table.after(more);
    }
    cut();
    addEventListener("beforeprint", () => { for (const row of first) row.hidden = false; });
    addEventListener("afterprint", cut);
  };

  // Pictures: what is drawn at a place, in words.
  const scale = (text) => {
    const [low, high, start, end, kind, unit] = text.split(" ");
    const [a, b, from, to] = [low, high, start, end].map(Number);
    const value = (at) => {
      const part = (at - from) / (to - from);
      return kind === "log" ? a * (b / a) ** part : a + (b - a) * part;
    };
    return { from, to, text: (at) => {
      const found = value(at) * (unit === "share" ? 100 : 1);
      const size = Math.abs(b - a) * (unit === "share" ? 100 : 1);
      const digits = kind === "log" ? Number(found.toPrecision(2)) : Number(found.toFixed(size > 20 ? 0 : size > 2 ? 1 : 2));
      return `${digits}${unit === "share" ? "\u00a0%" : ""}`;
    } };
  };
  const corners = (path) => {
    const found = [];
    let [x, y] = [0, 0];
    for (const [, command, rest] of path.matchAll(/([MLHV])([^MLHVZ]*)/g)) {
      const numbers = rest.trim().split(/[ ,]+/).map(Number);
      if (command === "H") [x] = numbers;
      else if (command === "V") [y] = numbers;
      else [x, y] = numbers;
      found.push([x, y]);
    }
    return found;
  };
  const height = (points, x) => {
    let found = null;
    for (let at = 1; at < points.length; at += 1) {
      const [[left, before], [right, after]] = [points[at - 1], points[at]];
      if (left <= x && x <= right && left < right) found = before + (after - before) * (x - left) / (right - left);
    }
    return found;
  };

  const readable = (svg) => {
    const [x, y] = [scale(svg.dataset.x), scale(svg.dataset.y)];
    const dots = [...svg.querySelectorAll("circle[data-name]")];
    const lines = [...svg.querySelectorAll("path[data-name]")].filter((path) => !path.matches(".guess, .front"))
      .map((path) => ({ name: path.dataset.name, points: corners(path.getAttribute("d")) }));
    const words = make("p", { className: "readout" });
    words.setAttribute("role", "status");
    svg.after(words);
    const hair = svg.querySelector("path.frame").cloneNode();
    hair.setAttribute("class", "hair");
    hair.removeAttribute("d");
    svg.append(hair);
    let place = null;
    const clear = () => { words.textContent = ""; hair.removeAttribute("d"); dots.forEach((dot) => dot.classList.remove("on")); };
    const readLines = (at) => {
      place = Math.min(Math.max(at, x.from), x.to);
      hair.setAttribute("d", `M${place.toFixed(1)} ${y.to}V${y.from}`);
      const found = lines.map((line) => [line.name, height(line.points, place)]).filter(([, up]) => up !== null);
      words.textContent = `${svg.dataset.xLabel} ${x.text(place)}: ${found.map(([name, up]) => `${name} ${y.text(up)}`).join("; ")}`;
    };
    const readDot = (number) => {
      place = number;
      dots.forEach((dot, at) => dot.classList.toggle("on", at === number));
      const [across, up] = ["cx", "cy"].map((name) => Number(dots[number].getAttribute(name)));
      words.textContent = `${dots[number].dataset.name}: ${svg.dataset.xLabel} ${x.text(across)}, ${svg.dataset.yLabel} ${y.text(up)}`;
    };
    const nearest = (across, up) => {
      const far = dots.map((dot) => Math.hypot(Number(dot.getAttribute("cx")) - across, Number(dot.getAttribute("cy")) - up));
      return far.indexOf(Math.min(...far));
    };
    const pointed = (event) => {
      const box = svg.getBoundingClientRect();
      const [across, up] = [(event.clientX - box.left) / box.width * svg.viewBox.baseVal.width, (event.clientY - box.top) / box.height * svg.viewBox.baseVal.height];
      if (dots.length) readDot(nearest(across, up));
      else readLines(across);
    };
    svg.addEventListener("pointermove", pointed);
    svg.addEventListener("pointerdown", pointed);
    svg.addEventListener("pointerleave", clear);
    svg.addEventListener("blur", clear);
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") clear();
      if (!step) return;
      event.preventDefault();
      if (dots.length) readDot(place === null ? 0 : Math.min(Math.max(place + step, 0), dots.length - 1));
      else readLines(place === null ? x.from : place + step * (x.to - x.from) / 40);
    });
  };

  // Folds: what a link leads to is opened, and paper shows all.
  const reveal = () => {
    const found = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!found) return;
    if (found.tagName === "DETAILS") found.open = true;
    found.scrollIntoView();
  };
  const folds = [...document.querySelectorAll("details")];
  const open = (all) => folds.forEach((fold) => { fold.open = all; });

  document.querySelectorAll("table.sort").forEach(sortable);
  document.querySelectorAll("svg[data-x]").forEach(readable);
  const contents = document.querySelector("nav");
  if (folds.length) {
    contents.append(make("p", { className: "folding" },
      make("button", { type: "button", onclick: () => open(true) }, "Open all"),
      make("button", { type: "button", onclick: () => open(false) }, "Close all")));
  }
  contents.append(hint);
  addEventListener("hashchange", reveal);
  reveal();
})();
