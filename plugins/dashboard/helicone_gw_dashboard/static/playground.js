// The playground: a draft becomes a request through the gateway, and what comes back is shown as it comes.
(function () {
  "use strict";
  var dashboard = window.dashboard;
  var form = document.getElementById("playground");
  var answer = document.getElementById("play-answer");
  var outcome = document.getElementById("play-outcome");
  var thoughts = document.getElementById("play-thoughts");
  var thinking = document.getElementById("play-thinking");
  var run = document.getElementById("play-run");
  var stop = document.getElementById("play-stop");
  var more = document.getElementById("play-continue");
  var VARIABLE = /\{\{\s*hc\s*:\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*:\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*\}\}/g;
  var going = null;

  function each(selector) {
    return Array.prototype.slice.call(form.querySelectorAll(selector));
  }

  // The variables of what is typed have a field each; what was typed into those that stay is kept.
  var inputs = document.getElementById("inputs");
  function variables() {
    var found = new Map();
    each("textarea").forEach(function (area) {
      Array.from(area.value.matchAll(VARIABLE)).forEach(function (match) { found.set(match[1], match[2]); });
    });
    return found;
  }
  function fields() {
    var found = variables();
    each("[data-input]").forEach(function (field) {
      if (found.has(field.dataset.input)) found.delete(field.dataset.input);
      else field.closest(".field").remove();
    });
    found.forEach(function (type, name) {
      var block = document.createElement("div");
      var label = document.createElement("label");
      var field = document.createElement("input");
      block.className = "field";
      field.id = label.htmlFor = "input-" + name;
      label.textContent = name + " (" + type + ")";
      field.dataset.input = name;
      field.dataset.type = type;
      field.autocomplete = "off";
      block.append(label, field);
      inputs.append(block);
    });
    inputs.hidden = !inputs.children.length;
  }
  form.addEventListener("input", function (event) {
    if (event.target.matches("textarea")) fields();
  });
  fields();

  function given() {
    var values = {};
    each("[data-input]").forEach(function (field) { if (field.value) values[field.dataset.input] = field.value; });
    return values;
  }
  function filled(text, values) {
    return text.replace(VARIABLE, function (tag, name) {
      return Object.prototype.hasOwnProperty.call(values, name) ? values[name] : tag;
    });
  }
  // Inside JSON a value is put in with its quotes and line ends escaped.
  function filledJson(text, values) {
    var escaped = {};
    Object.keys(values).forEach(function (name) { escaped[name] = JSON.stringify(values[name]).slice(1, -1); });
    return JSON.parse(filled(text, escaped));
  }
  function drafted() {
    var values = given();
    var settings = form.elements.settings.value.trim();
    var body = settings ? filledJson(settings, values) : {};
    body.model = form.elements.model.value.trim() || undefined;
    body.messages = each("fieldset").map(function (place) {
      var text = place.querySelector("textarea").value;
      if (place.querySelector('[name="whole"]').value === "yes") return filledJson(text, values);
      return { role: place.querySelector('[name="role"]').value, content: filled(text, values) };
    }).filter(function (message) { return message.content !== ""; });
    return body;
  }
  function typed() {
    return JSON.stringify([each("textarea"), each("select"), each('[name="model"]')].map(function (group) {
      return group.map(function (field) { return field.value; });
    }));
  }
  var asKept = typed();

  // A version of a prompt that nobody changed is asked for by its name, so that the log knows it as that version.
  function body() {
    var made;
    if (form.dataset.version && typed() === asKept) {
      made = { prompt_id: form.dataset.prompt, version_id: form.dataset.version, inputs: given(), messages: [] };
    } else made = drafted();
    delete made.stream;
    delete made.stream_options;
    if (document.getElementById("play-stream").checked) {
      made.stream = true;
      made.stream_options = { include_usage: true };
    }
    return made;
  }

  function say(parts) {
    outcome.replaceChildren.apply(outcome, parts.map(function (part) {
      if (part instanceof Node) return part;
      var word = document.createElement("span");
      word.textContent = part;
      return word;
    }));
  }
  function duration(ms) {
    return ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toPrecision(3) + " s";
  }
  function show(delta) {
    if (!delta) return;
    var thought = delta.reasoning_content || delta.reasoning;
    if (typeof thought === "string" && thought) {
      thoughts.hidden = false;
      thinking.append(thought);
    }
    if (typeof delta.content === "string") answer.append(delta.content);
    if (typeof delta.refusal === "string") answer.append(delta.refusal);
    (delta.tool_calls || []).forEach(function (call) {
      var asked = call.function || {};
      if (asked.name) answer.append((answer.textContent ? "\n" : "") + "calls " + asked.name + " ");
      if (asked.arguments) answer.append(asked.arguments);
    });
  }

  // Server-sent events, as far as chat completions use them: one `data` line for each.
  function events(text, told) {
    var end;
    while ((end = text.search(/\r?\n\r?\n/)) >= 0) {
      var block = text.slice(0, end);
      text = text.slice(end).replace(/^\r?\n\r?\n/, "");
      var data = block.split(/\r?\n/).filter(function (line) { return line.startsWith("data:"); })
        .map(function (line) { return line.slice(5).trim(); }).join("\n");
      if (data && data !== "[DONE]") told(JSON.parse(data));
    }
    return text;
  }

  function finish(began, first, usage, reply, trouble) {
    var parts = [];
    if (trouble) parts.push(trouble);
    else if (reply) parts.push("status " + reply.status);
    parts.push("latency " + duration(performance.now() - began));
    if (first) parts.push("first token " + duration(first - began));
    if (usage) {
      parts.push((usage.prompt_tokens || 0) + " input tokens");
      parts.push((usage.completion_tokens || 0) + " output tokens");
    }
    var id = reply && reply.headers.get("Helicone-Id");
    if (id) {
      var link = document.createElement("a");
      link.href = dashboard.base + "/requests/" + encodeURIComponent(id);
      link.textContent = "Request with its cost";
      parts.push(link);
    }
    say(parts);
    answer.classList.remove("going");
    run.disabled = false;
    stop.hidden = true;
    more.hidden = Boolean(trouble) || !answer.textContent;
    going = null;
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (going) return;
    var wanted;
    try {
      wanted = body();
    } catch (problem) {
      dashboard.notice("A message or the settings are not JSON.");
      return;
    }
    var headers = { "Content-Type": "application/json", "Helicone-Property-Playground": "true" };
    going = new AbortController();
    answer.textContent = "";
    thinking.textContent = "";
    thoughts.hidden = true;
    more.hidden = true;
    answer.classList.add("going");
    say(["Asking …"]);
    run.disabled = true;
    stop.hidden = false;
    var began = performance.now();
    var first = 0;
    var usage = null;
    var reply = null;
    var trouble = "";
    function took(event) {
      if (event.error) trouble = event.error.message || "The stream ended with an error.";
      if (event.usage) usage = event.usage;
      var choice = (event.choices || [])[0];
      if (!choice) return;
      if (!first) first = performance.now();
      show(choice.delta || choice.message);
    }
    dashboard
      .ask(form.dataset.to, { headers: headers, body: JSON.stringify(wanted), signal: going.signal })
      .then(function (found) {
        reply = found;
        if (!(found.headers.get("Content-Type") || "").startsWith("text/event-stream")) {
          return found.json().then(function (whole) {
            took(whole);
            first = 0; // it came at once
            if (!found.ok && !trouble) trouble = "The gateway answered with status " + found.status + ".";
          });
        }
        var reader = found.body.getReader();
        var decoder = new TextDecoder();
        var text = "";
        return (function next() {
          return reader.read().then(function (part) {
            text = events(text + decoder.decode(part.value, { stream: !part.done }), took);
            return part.done ? undefined : next();
          });
        })();
      })
      .catch(function (problem) {
        trouble = problem.name === "AbortError" ? "Stopped." : "The answer broke off, or the gateway could not be reached.";
      })
      .then(function () { finish(began, first, usage, reply, trouble); });
  });
  stop.addEventListener("click", function () { if (going) going.abort(); });
  window.addEventListener("pagehide", function () { if (going) going.abort(); });

  // The answer, and room for what is said next, as further messages.
  more.addEventListener("click", function () {
    var messages = form.querySelector("[data-messages]");
    var template = form.querySelector("template[data-message]");
    [["assistant", answer.textContent], ["user", ""]].forEach(function (said) {
      messages.append(template.content.cloneNode(true));
      messages.lastElementChild.querySelector("select").value = said[0];
      messages.lastElementChild.querySelector("textarea").value = said[1];
    });
    more.hidden = true;
    messages.lastElementChild.querySelector("textarea").focus();
  });
})();
