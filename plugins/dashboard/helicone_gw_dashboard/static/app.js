// What every page has: the theme, the drawer, tabs, notices, times in the reader's own zone, and who one is.
(function () {
  "use strict";

  var meta = document.querySelector('meta[name="dashboard"]');
  var dashboard = (window.dashboard = { base: meta.content });

  // Whoever is logged in proves with the session's token that a change is meant. It is asked for when it is first
  // needed, and stands in no page.
  var token = meta.dataset.session ? null : "";
  function withToken() {
    if (token !== null) return Promise.resolve(token);
    return fetch(meta.dataset.session, { credentials: "same-origin" })
      .then(function (answer) { return answer.json(); })
      .then(function (body) {
        token = (body.data && body.data.csrf_token) || "";
        return token;
      });
  }

  function each(selector, action, root) {
    Array.prototype.forEach.call((root || document).querySelectorAll(selector), action);
  }

  // Notices: text only, so that nothing a server says can be markup.
  dashboard.notice = function (message, good) {
    var line = document.createElement("p");
    line.className = good ? "notice" : "notice bad";
    var words = document.createElement("span");
    words.textContent = message;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dataset.dismiss = "";
    button.setAttribute("aria-label", "Dismiss");
    button.textContent = "×";
    line.append(words, button);
    document.getElementById("notices").append(line);
    if (good) setTimeout(function () { line.remove(); }, 4000);
  };

  // A request to this gateway with all that it asks of a browser.
  dashboard.send = function (method, path, options) {
    var headers = Object.assign({}, (options || {}).headers);
    var body = (options || {}).json;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return (method === "GET" ? Promise.resolve("") : withToken()).then(function (known) {
      if (known) headers["X-CSRF-Token"] = known;
      return fetch(path, {
        method: method,
        headers: headers,
        body: body === undefined ? (options || {}).body : JSON.stringify(body),
        signal: (options || {}).signal,
        credentials: "same-origin",
      });
    });
  };

  // A request to a provider, sent for whoever is logged in; `path` is what a client would ask for.
  dashboard.ask = function (path, options) {
    return dashboard.send("POST", dashboard.base + "/ask?to=" + encodeURIComponent(path), options);
  };

  document.addEventListener("htmx:configRequest", function (event) {
    if (token) event.detail.headers["X-CSRF-Token"] = token;
  });
  document.addEventListener("htmx:confirm", function (event) {
    if (event.detail.verb === "get" || token !== null) return;
    event.preventDefault();
    withToken().then(function () { event.detail.issueRequest(false); });
  });
  var running = 0;
  document.addEventListener("htmx:beforeRequest", function () {
    running += 1;
    document.body.classList.add("busy");
  });
  document.addEventListener("htmx:afterRequest", function () {
    running = Math.max(0, running - 1);
    if (!running) document.body.classList.remove("busy");
  });
  // Only HTML becomes part of a page. Whoever is logged out meanwhile goes to the login, and then back here.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var answer = event.detail.xhr;
    if (answer.status === 401) {
      event.detail.shouldSwap = false;
      location.reload();
    } else if (answer.status !== 204 && (answer.getResponseHeader("Content-Type") || "").indexOf("text/html") !== 0) {
      event.detail.shouldSwap = false;
      dashboard.notice("The gateway answered with status " + answer.status + ".");
    }
  });
  document.addEventListener("htmx:sendError", function () {
    dashboard.notice("The gateway cannot be reached.");
  });

  // What the next page is to know, and is drawn with: in cookies, since nothing is drawn before a script had run else.
  function keep(name, value) {
    value = encodeURIComponent(value);
    if (("; " + document.cookie + ";").indexOf("; " + name + "=" + value + ";") < 0) {
      document.cookie = name + "=" + value + "; path=/; max-age=31536000; samesite=lax";
    }
  }
  dashboard.keep = keep;

  // What is not needed for a page to be seen waits until it is, so that it takes nothing from those who draw it: a frame
  // that was asked for is far from shown. A page that nobody looks at shows nothing, but goes on.
  function later(action) {
    var waiting = setTimeout(begin, 1000);
    var watching = new PerformanceObserver(function (list) {
      if (list.getEntriesByName("first-contentful-paint").length) setTimeout(begin);
    });
    watching.observe({ type: "paint", buffered: true });
    function begin() {
      clearTimeout(waiting);
      watching.disconnect();
      if (action) action();
      action = null;
    }
  }
  // Days begin where the reader is: the zone by its name, and how far its clocks are ahead where that is not known.
  later(function () {
    keep("dashboard_clock", -new Date().getTimezoneOffset());
    keep("dashboard_zone", Intl.DateTimeFormat().resolvedOptions().timeZone || "");
    dashboard.localize(document);
    // A first page brought its styles along; for the next ones the browser keeps them.
    var brought = document.querySelector("style[data-kept]");
    if (brought) {
      fetch(brought.dataset.kept, { credentials: "same-origin" }).then(function (answer) {
        if (answer.ok) return answer.text().then(function () { keep("dashboard_styles", brought.dataset.tag); });
      }).catch(function () {});
    }
  });

  // A page whose frame came ahead knows its own name only now.
  var named = document.querySelector("[data-title]");
  if (named) document.title = named.dataset.title + " · helicone-gw";

  // Times: the server writes UTC, the reader sees their own zone.
  var clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  var sameDay, otherDay, whole;
  function learn() {
    sameDay = new Intl.DateTimeFormat(undefined, clock);
    otherDay = new Intl.DateTimeFormat(undefined, Object.assign({ month: "short", day: "numeric" }, clock));
    whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  }
  dashboard.localize = function (root) {
    var today = new Date().toDateString();
    each("time[datetime]:not([data-shown])", function (element) {
      var at = new Date(element.dateTime);
      if (isNaN(at)) return;
      if (!whole) learn(); // which takes a browser longer than all else here
      element.textContent = (at.toDateString() === today ? sameDay : otherDay).format(at);
      element.title = whole.format(at);
      element.dataset.shown = "";
    }, root);
  };

  // Tabs, as the ARIA practices have them: arrows move, only one can be reached with Tab.
  function choose(tab) {
    each('[role="tab"]', function (other) {
      var chosen = other === tab;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }, tab.parentElement);
  }
  document.addEventListener("keydown", function (event) {
    var tab = event.target.closest && event.target.closest('[role="tab"]');
    if (!tab || (event.key !== "ArrowRight" && event.key !== "ArrowLeft")) return;
    var tabs = Array.prototype.slice.call(tab.parentElement.querySelectorAll('[role="tab"]'));
    var next = tabs[(tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : -1) + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  });

  // The drawer shows what a link leads to; the link itself still works, in a new tab for one.
  var drawer = document.getElementById("drawer");
  var shown = null;
  function open(link) {
    shown = link;
    document.getElementById("drawer-whole").href = link.href;
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
    window.htmx.ajax("GET", link.href, { source: "#drawer-content", target: "#drawer-content", swap: "innerHTML" });
  }
  function neighbour(step) {
    var links = Array.prototype.slice.call(document.querySelectorAll("a[data-drawer]"));
    var at = links.findIndex(function (link) { return shown && link.href === shown.href; });
    var next = links[at + step];
    if (at >= 0 && next) open(next);
  }
  if (drawer) {
    drawer.addEventListener("close", function () {
      document.getElementById("drawer-content").replaceChildren();
      if (shown) shown.focus();
      shown = null;
    });
    drawer.addEventListener("click", function (event) {
      if (event.target === drawer) drawer.close();
    });
    drawer.addEventListener("keydown", function (event) {
      if (event.target.closest("input, textarea, select")) return;
      if (event.key === "j") neighbour(1);
      if (event.key === "k") neighbour(-1);
    });
  }

  document.addEventListener("click", function (event) {
    var target = event.target;
    var link = target.closest("a[data-drawer]");
    if (link && drawer && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      open(link);
      return;
    }
    var row = target.closest("tr[data-row]");
    if (row && !target.closest("a, button, input, label") && !String(window.getSelection())) {
      row.querySelector("a[data-drawer], a[data-main]").click();
      return;
    }
    var tab = target.closest('[role="tab"]');
    if (tab) choose(tab);
    var button = target.closest("[data-close], [data-toggle], [data-dismiss], [data-theme-toggle], [data-copy], [data-logout]");
    if (!button) return;
    if (button.dataset.close) document.querySelector(button.dataset.close).close();
    if ("dismiss" in button.dataset) button.closest(".notice").remove();
    if (button.dataset.toggle) {
      var opened = document.querySelector(button.dataset.toggle).classList.toggle("open");
      button.setAttribute("aria-expanded", opened);
    }
    if ("themeToggle" in button.dataset) {
      var dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
        (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
      var theme = dark ? "light" : "dark";
      document.documentElement.dataset.theme = theme;
      keep("dashboard_theme", theme);
      document.dispatchEvent(new Event("dashboard:theme"));
    }
    if (button.dataset.copy) copy(button);
    if ("logout" in button.dataset) {
      dashboard.send("POST", meta.dataset.logout)
        .then(function (answer) { return answer.json(); })
        .catch(function () { return null; })
        .then(function (told) {
          // An OpenID provider's own logout, where the session came from one that has it.
          location.assign((told && told.data && told.data.logout_url) || dashboard.base + "/login");
        });
    }
  });

  // A request that was logged, sent again as it stands in the form.
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-replay]");
    if (!button) return;
    var state = document.getElementById("replay-state");
    var headers = { "Content-Type": "application/json", "Helicone-Property-Replay-Of": button.dataset.of };
    button.disabled = true;
    state.textContent = "Asking …";
    dashboard
      .ask(button.dataset.replay, { headers: headers, body: document.querySelector(button.dataset.body).value })
      .then(function (answer) {
        var id = answer.headers.get("Helicone-Id");
        state.textContent = "Answered with status " + answer.status + ". ";
        return answer.text().then(function () {
          if (!id) return;
          var link = document.createElement("a");
          link.href = dashboard.base + "/requests/" + encodeURIComponent(id);
          link.textContent = "See it";
          state.append(link);
        });
      })
      .catch(function () { state.textContent = "The gateway could not be reached."; })
      .then(function () { button.disabled = false; });
  });

  function remember(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch (refused) {
      // It lasts as long as the page, then.
    }
  }
  dashboard.remember = remember;

  function copy(button) {
    var source = document.querySelector(button.dataset.copy);
    var text = source.value === undefined ? source.textContent : source.value;
    navigator.clipboard.writeText(text).then(
      function () { dashboard.notice("Copied.", true); },
      function () { dashboard.notice("The browser did not let the page copy; select it instead."); }
    );
  }

  // A menu that was opened closes with Escape, or when something else is clicked.
  document.addEventListener("click", function (event) {
    each("details.pop[open]", function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    each("details.pop[open]", function (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  document.addEventListener("htmx:afterSettle", function (event) { dashboard.localize(event.target); });
})();
