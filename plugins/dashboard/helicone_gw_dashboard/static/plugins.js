// The onion: how long each layer's hooks took, measured with one demo request whose answer says it (Server-Timing).
(function () {
  "use strict";
  var button = document.querySelector("[data-measure]");
  if (!button) return;
  button.addEventListener("click", function () {
    var headers = { "Helicone-Server-Timing": "true", "Helicone-Property-App": "dashboard" };
    button.disabled = true;
    window.dashboard
      .ask(button.dataset.measure, {
        headers: headers,
        json: { model: "demo", messages: [{ role: "user", content: "How long does this take?" }] },
      })
      .then(function (answer) {
        var said = answer.headers.get("Server-Timing");
        if (!answer.ok || !said) throw new Error();
        said.split(",").forEach(function (entry) {
          var found = /^\s*([^;]+);dur=([\d.]+)/.exec(entry);
          var place = found && document.querySelector('.took[data-plugin="' + window.CSS.escape(found[1]) + '"]');
          if (place) place.textContent = Number(found[2]).toFixed(2) + " ms";
        });
      })
      .catch(function () { window.dashboard.notice("The demo request was not answered, or says no times."); })
      .then(function () { button.disabled = false; });
  });
})();
