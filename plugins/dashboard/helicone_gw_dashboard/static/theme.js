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
  var ahead = -new Date().getTimezoneOffset();
  if (document.cookie.indexOf("dashboard_clock=" + ahead + ";") < 0) {
    document.cookie = "dashboard_clock=" + ahead + "; path=/; max-age=31536000; samesite=lax";
  }
})();
