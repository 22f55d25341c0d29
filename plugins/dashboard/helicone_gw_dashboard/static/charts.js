// Charts over time, drawn by uPlot: bars and lines in the theme's colours, a tip, and a range to be dragged.
(function () {
  "use strict";
  var COLOURS = ["--fill", "--bad", "--good", "--warn"];

  function short(value) { return String(Number(value.toPrecision(3))); }
  var formats = {
    count: function (value) {
      if (value >= 1e9) return short(value / 1e9) + "B";
      if (value >= 1e6) return short(value / 1e6) + "M";
      if (value >= 1e4) return short(value / 1e3) + "k";
      return String(Math.round(value * 100) / 100);
    },
    number: short,
    money: function (value) {
      if (value === 0) return "$0";
      if (value >= 1000) return "$" + short(value / 1000) + "k";
      return "$" + (value >= 0.1 ? value.toFixed(2) : String(Number(value.toPrecision(2))));
    },
    duration: function (value) {
      if (value >= 60000) return short(value / 60000) + " min";
      return value >= 1000 ? short(value / 1000) + " s" : Math.round(value) + " ms";
    },
  };

  // Steps of an axis that counts: there are no half requests.
  var whole = [];
  for (var power = 1; power < 1e15; power *= 10) whole.push(power, 2 * power, 5 * power);

  function colour(name) {
    // The variables hold light-dark(): a probe gives what it means here and now.
    probe.style.color = "var(" + name + ")";
    return getComputedStyle(probe).color;
  }
  var probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  function when(seconds, bucket) {
    var options = bucket >= 86400000
      ? { weekday: "short", month: "short", day: "numeric" }
      : { weekday: "short", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
    return new Date(seconds * 1000).toLocaleString(undefined, options);
  }

  function draw(element) {
    var chart = JSON.parse(element.dataset.chart);
    var format = formats[chart.unit];
    var soft = colour("--soft");
    var line = colour("--line");
    var bars = window.uPlot.paths.bars({ size: [0.75, 40], radius: 0.12 });
    var lanes = chart.lanes.map(function (lane) {
      var ink = lane.look === "before" ? soft : colour(COLOURS[lane.colour]);
      var series = { label: lane.name, stroke: ink, width: lane.look === "before" ? 1.5 : 1.8, points: { show: false }, spanGaps: true };
      if (lane.look === "bars") {
        series.paths = bars;
        series.fill = ink;
        series.width = 0;
      }
      if (lane.look === "before") series.dash = [4, 4];
      var known = lane.values.filter(function (value) { return value !== null; }).length;
      if (lane.look === "line" && known < 60) series.points = { show: true, size: known < 3 ? 8 : 4, fill: ink };
      return series;
    });
    var tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    var axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px " + getComputedStyle(document.body).fontFamily };
    var first = chart.x[0];
    var last = chart.x[chart.x.length - 1];
    var half = chart.bucket / 2000;
    var plot = new window.uPlot({
      width: element.clientWidth,
      height: element.clientHeight,
      padding: [8, 18, 0, 0],
      scales: {
        x: { time: true, range: [first - half, last + half] },
        y: { range: function (u, low, high) { return [0, high > 0 ? high * 1.08 : 1]; } },
      },
      axes: [
        Object.assign({}, axis, { grid: { show: false }, space: 76, size: 20, gap: 4, values: function (u, splits, i, space, step) {
          // A label in the corner would stand on those of the other axis.
          return splits.map(function (at) { return u.valToPos(at, "x") < 16 ? "" : tick(at, step); });
        } }),
        Object.assign({}, axis, { size: 50, incrs: chart.unit === "count" ? whole : undefined, values: function (u, values) { return values.map(format); } }),
      ],
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
      legend: { show: false },
      series: [{}].concat(lanes),
      hooks: {
        setCursor: [function (u) { point(u, tip, chart, format); }],
        setSelect: [function (u) { zoom(u, element, chart); }],
      },
    }, [chart.x].concat(chart.lanes.map(function (lane) { return lane.values; })), element);
    plot.over.append(tip);
    plot.over.addEventListener("mouseleave", function () { tip.hidden = true; });
    return plot;
  }

  // One line under the axis: the hour, or the day where a day begins.
  function tick(seconds, step) {
    var at = new Date(seconds * 1000);
    var midnight = at.getHours() === 0 && at.getMinutes() === 0;
    if (step >= 86400 || midnight) return at.toLocaleDateString(undefined, { month: "short", day: "numeric" });
    return at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  }

  function point(u, tip, chart, format) {
    var at = u.cursor.idx;
    if (at === null || at === undefined || u.cursor.left < 0) {
      tip.hidden = true;
      return;
    }
    tip.replaceChildren(document.createTextNode(when(chart.x[at], chart.bucket)));
    chart.lanes.forEach(function (lane) {
      var value = lane.values[at];
      var row = document.createElement("div");
      var number = document.createElement("b");
      number.textContent = value === null || value === undefined ? "–" : format(value);
      row.append(lane.name + " ", number);
      tip.append(row);
    });
    tip.hidden = false;
    var right = u.cursor.left > u.over.clientWidth / 2;
    tip.style.left = right ? "auto" : u.cursor.left + 12 + "px";
    tip.style.right = right ? u.over.clientWidth - u.cursor.left + 12 + "px" : "auto";
    tip.style.top = "4px";
  }

  // A range that was dragged, or a bucket that was clicked, is what the page is then about: whole buckets.
  function zoom(u, element, chart) {
    if (!element.dataset.zoom || u.select.width < 6) return;
    var half = chart.bucket / 2000;
    var left = nearest(chart.x, u.posToVal(u.select.left, "x") + half, half);
    var right = nearest(chart.x, u.posToVal(u.select.left + u.select.width, "x") - half, half);
    go(element, chart.x[left] * 1000, end(chart, Math.max(left, right)));
  }
  // The last bucket that does not begin later, or the first one.
  function nearest(times, at, half) {
    var found = 0;
    for (var each = 0; each < times.length; each += 1) if (times[each] - half <= at) found = each;
    return found;
  }
  // Where a bucket ends: not all days are equally long.
  function end(chart, at) {
    return (at + 1 < chart.x.length ? chart.x[at + 1] * 1000 : chart.x[at] * 1000 + chart.bucket);
  }
  function go(element, from, to) {
    var address = new URL(element.dataset.zoom, location.href);
    address.searchParams.set("from", from);
    address.searchParams.set("to", to);
    location.assign(address);
  }

  var plots = [];
  function all() {
    plots.forEach(function (plot) { plot.destroy(); });
    plots = [];
    fresh();
  }
  function fresh() {
    Array.prototype.forEach.call(document.querySelectorAll("[data-chart]"), function (element) {
      if (element.querySelector(".uplot")) return;
      var plot = draw(element);
      var chart = JSON.parse(element.dataset.chart);
      plot.over.addEventListener("click", function () {
        var at = plot.cursor.idx;
        if (!element.dataset.zoom || at === null || plot.select.width >= 6 || chart.bucket <= 60000) return;
        go(element, chart.x[at] * 1000, end(chart, at));
      });
      plots.push(plot);
    });
  }
  // Whoever waits for a page sees it first, and then its charts.
  requestAnimationFrame(function () { setTimeout(fresh); });
  document.addEventListener("htmx:afterSettle", fresh);
  document.addEventListener("dashboard:theme", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  matchMedia("print").addEventListener("change", all);
  var waiting = null;
  window.addEventListener("resize", function () {
    clearTimeout(waiting);
    waiting = setTimeout(function () {
      plots.forEach(function (plot) {
        var element = plot.root.parentElement;
        plot.setSize({ width: element.clientWidth, height: element.clientHeight });
      });
    }, 100);
  });
})();
