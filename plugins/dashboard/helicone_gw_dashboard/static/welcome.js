// The first-run page: a demo request through the gateway itself, and the row that it becomes.
(function () {
  "use strict";
  var dashboard = window.dashboard;
  var button = document.getElementById("demo");
  var state = document.getElementById("demo-state");
  var arrived = document.getElementById("arrived");
  var rows = document.getElementById("rows");
  var source = null;

  function follow() {
    if (source) return;
    source = new EventSource(arrived.dataset.live);
    source.addEventListener("rows", function (event) {
      var template = document.createElement("template");
      template.innerHTML = JSON.parse(event.data).html;
      arrived.hidden = false;
      rows.prepend(template.content);
      dashboard.localize(rows);
      state.textContent = "Here it is. Click it to see all that is known of it.";
    });
  }
  window.addEventListener("pagehide", function () { if (source) source.close(); });
  follow();
  if (!button) return;

  button.addEventListener("click", function () {
    var session = "welcome-" + Date.now();
    var headers = {
      "Helicone-User-Id": "you",
      "Helicone-Session-Id": session,
      "Helicone-Session-Name": "Welcome",
      "Helicone-Session-Path": "/hello",
      "Helicone-Property-App": "dashboard",
    };
    button.disabled = true;
    state.textContent = "Asking …";
    dashboard
      .ask(button.dataset.to, {
        headers: headers,
        json: { model: "demo", messages: [{ role: "user", content: "Hello! What are you?" }] },
      })
      .then(function (answer) {
        return answer.json().then(function (body) {
          if (answer.ok) state.textContent = "Answered: " + body.choices[0].message.content;
          else state.textContent = (body.error && body.error.message) || "The gateway refused it.";
        });
      })
      .catch(function () { state.textContent = "The gateway could not be reached."; })
      .then(function () { button.disabled = false; });
  });
})();
