// Messages of a draft: added and taken away.
(function () {
  "use strict";
  document.addEventListener("click", function (event) {
    var remove = event.target.closest("[data-remove-message]");
    if (remove) {
      var removed = remove.closest("fieldset");
      removed.dispatchEvent(new Event("input", { bubbles: true }));
      removed.remove();
    }
    var add = event.target.closest("[data-add-message]");
    if (!add) return;
    var place = add.closest(".broad");
    var fresh = place.querySelector("template[data-message]").content.cloneNode(true);
    var messages = place.querySelector("[data-messages]");
    messages.append(fresh);
    messages.lastElementChild.querySelector("textarea").focus();
  });
})();
