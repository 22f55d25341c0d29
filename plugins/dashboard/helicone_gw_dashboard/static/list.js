// The list of requests: told of new ones, its columns, views that are kept in this browser, and exports.
(function () {
  "use strict";
  var dashboard = window.dashboard;
  var rows = document.getElementById("rows");
  var MOST = 200;

  // Live: off while the page is hidden, so that a forgotten tab costs the gateway nothing.
  var button = document.getElementById("live");
  var source = null;
  var wanted = Boolean(button);
  var troubled = "";

  function follow() {
    if (source || !wanted || document.hidden) return;
    source = new EventSource(button.dataset.live);
    source.addEventListener("rows", function (event) {
      var parsed = JSON.parse(event.data);
      var template = document.createElement("template");
      template.innerHTML = parsed.html;
      var fresh = Array.prototype.slice.call(template.content.querySelectorAll("tr[data-row]"));
      fresh.forEach(function (row) {
        if (rows.querySelector('[data-row="' + CSS.escape(row.dataset.row) + '"]')) row.remove();
        else row.classList.add("fresh");
      });
      rows.prepend(template.content);
      var shown = rows.querySelectorAll("tr[data-row]");
      for (var at = MOST; at < shown.length; at += 1) shown[at].remove();
      var none = document.getElementById("no-rows");
      if (none) none.remove();
      dashboard.localize(rows);
      var counted = document.getElementById("count");
      if (counted && window.htmx) window.htmx.trigger(counted, "load");
    });
    source.addEventListener("trouble", function (event) {
      var message = JSON.parse(event.data).message;
      if (message !== troubled) dashboard.notice(message);
      troubled = message;
    });
    source.onerror = function () {
      if (source && source.readyState === EventSource.CLOSED) {
        pause();
        dashboard.notice("The page is not told of new requests any more. Load it again to go on.");
      }
    };
    mark();
  }
  function stop() {
    if (source) source.close();
    source = null;
  }
  function pause() {
    wanted = false;
    stop();
    mark();
  }
  function mark() {
    button.setAttribute("aria-pressed", wanted);
    button.classList.toggle("live", wanted);
  }
  if (button) {
    button.addEventListener("click", function () {
      if (wanted) pause();
      else {
        wanted = true;
        follow();
      }
    });
    document.addEventListener("visibilitychange", function () {
      if (document.hidden) stop();
      else follow();
    });
    window.addEventListener("pagehide", stop);
    follow();
  }

  // Columns
  var root = document.documentElement;
  var chooser = document.querySelector("[data-columns]");
  if (chooser) {
    var boxes = Array.prototype.slice.call(chooser.querySelectorAll("input"));
    boxes.forEach(function (box) {
      box.checked = (root.dataset.hidden || "").split(" ").indexOf(box.value) < 0;
    });
    chooser.addEventListener("change", function () {
      var hidden = boxes.filter(function (box) { return !box.checked; }).map(function (box) { return box.value; });
      root.dataset.hidden = hidden.join(" ");
      dashboard.keep("dashboard_hidden", root.dataset.hidden);
    });
  }

  // The form for a filter offers the comparisons that its column has.
  var column = document.getElementById("f-column");
  var operator = document.getElementById("f-operator");
  function suit() {
    var kind = column.selectedOptions[0].dataset.kind;
    Array.prototype.forEach.call(operator.options, function (option) {
      option.hidden = option.disabled = option.dataset.kind !== kind;
    });
    if (operator.selectedOptions[0].disabled) {
      operator.value = "";
      Array.prototype.some.call(operator.options, function (option) {
        if (!option.disabled) option.selected = true;
        return !option.disabled;
      });
    }
    document.getElementById("f-key-field").hidden = column.value !== "properties" && column.value !== "scores";
  }
  if (column) {
    column.addEventListener("change", suit);
    suit();
  }
  Array.prototype.forEach.call(document.querySelectorAll("[data-submit]"), function (select) {
    select.addEventListener("change", function () { select.form.requestSubmit(); });
  });

  // Exports: streamed into the page, which says how far they are, and then handed over as a file.
  var box = document.getElementById("export");
  var stopping = null;
  if (box) {
    var state = document.getElementById("export-state");
    var bar = document.getElementById("export-progress");
    var halt = document.getElementById("export-stop");
    halt.addEventListener("click", function () { if (stopping) stopping.abort(); });
    box.addEventListener("click", function (event) {
      var format = event.target.dataset.export;
      if (!format || stopping) return;
      stopping = new AbortController();
      bar.removeAttribute("value");
      bar.hidden = halt.hidden = false;
      state.textContent = "Counting …";
      exported(format, stopping.signal)
        .then(function (blob) {
          var link = document.createElement("a");
          link.href = URL.createObjectURL(blob);
          link.download = "requests." + format;
          link.click();
          setTimeout(function () { URL.revokeObjectURL(link.href); }, 60000);
        })
        .catch(function (problem) {
          state.textContent = problem.name === "AbortError" ? "Stopped." : problem.message;
        })
        .then(function () {
          stopping = null;
          bar.hidden = halt.hidden = true;
        });
    });
  }
  function exported(format, signal) {
    var query = { filter: JSON.parse(box.dataset.query), format: format };
    return dashboard.send("POST", box.dataset.to, { json: query, signal: signal }).then(function (answer) {
      if (!answer.ok) {
        return answer.json().then(function (body) { throw new Error(body.error || "The export was refused."); });
      }
      var total = Number(answer.headers.get("X-Total-Count"));
      var reader = answer.body.getReader();
      var pieces = [];
      var lines = 0;
      function next() {
        return reader.read().then(function (piece) {
          if (piece.done) {
            state.textContent = "Done.";
            return new Blob(pieces, { type: answer.headers.get("Content-Type") });
          }
          pieces.push(piece.value);
          for (var at = 0; at < piece.value.length; at += 1) if (piece.value[at] === 10) lines += 1;
          if (total) bar.value = Math.min(lines / total, 1);
          state.textContent = lines.toLocaleString() + (total ? " of " + total.toLocaleString() : "") + " lines";
          return next();
        });
      }
      return next();
    });
  }

  // Views: names for addresses of this page. The gateway keeps them; those of viewers, who change nothing there, are
  // this browser's, and become the gateway's own as soon as somebody is here who may keep them there.
  var list = document.getElementById("own-views");
  function views() {
    try {
      var kept = JSON.parse(localStorage.getItem("dashboard-views") || "[]");
      return Array.isArray(kept) ? kept : [];
    } catch (refused) {
      return [];
    }
  }
  function keep(all) {
    dashboard.remember("dashboard-views", JSON.stringify(all.slice(0, 50)));
    showViews();
  }
  function showViews() {
    var all = views();
    list.replaceChildren();
    all.forEach(function (view, at) {
      var line = document.createElement("li");
      var link = document.createElement("a");
      link.href = list.dataset.page + "?" + String(view.query || "");
      link.textContent = String(view.name);
      var remove = document.createElement("button");
      remove.type = "button";
      remove.className = "plain";
      remove.textContent = "×";
      remove.setAttribute("aria-label", "Forget " + view.name);
      remove.addEventListener("click", function () {
        keep(all.filter(function (_, other) { return other !== at; }));
        line.remove();
      });
      line.append(link, remove);
      list.append(line);
    });
  }
  var saving = document.getElementById("save-view");
  if (saving) {
    saving.addEventListener("submit", function (event) {
      event.preventDefault();
      var name = document.getElementById("view-name").value.trim();
      var others = views().filter(function (view) { return view.name !== name; });
      keep(others.concat([{ name: name, query: location.search.slice(1) }]));
      saving.reset();
    });
    showViews();
  }
  var kept = document.querySelector("[data-views]");
  if (kept) {
    kept.addEventListener("htmx:afterRequest", function (event) {
      if (event.detail.successful && event.target === kept) kept.reset();
    });
    if (views().length) move(kept.dataset.views);
  }
  function move(address) {
    var left = [];
    dashboard.send("GET", address)
      .then(function (answer) { return answer.json(); })
      .then(function (told) {
        var known = told.data.filter(function (view) { return view.mine; }).map(function (view) { return view.name; });
        return views().reduce(function (before, view) {
          return before.then(function () {
            if (known.indexOf(String(view.name)) >= 0) return null;
            var json = { name: String(view.name), query: String(view.query || "") };
            return dashboard.send("POST", address, { json: json }).then(function (answer) {
              if (!answer.ok) left.push(view);
            });
          });
        }, Promise.resolve());
      })
      .then(function () { dashboard.remember("dashboard-views", JSON.stringify(left)); })
      .catch(function () {}); // They stay where they are, and are tried again with the next page.
  }
})();
