// Before anything is drawn: the theme that was chosen here, and which columns are hidden.
(function () {
  "use strict";
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem("dashboard-theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    var hidden = localStorage.getItem("dashboard-hidden");
    root.dataset.hidden = hidden === null ? "provider key operation" : hidden;
  } catch (refused) {
    // No storage in this browser: the system's theme, and every column.
  }
  // Days begin where the reader is: the zone by its name, and how far its clocks are ahead where that is not known.
  function keep(name, value) {
    if (("; " + document.cookie + ";").indexOf("; " + name + "=" + value + ";") < 0) {
      document.cookie = name + "=" + value + "; path=/; max-age=31536000; samesite=lax";
    }
  }
  keep("dashboard_clock", -new Date().getTimezoneOffset());
  keep("dashboard_zone", encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || ""));
})();
