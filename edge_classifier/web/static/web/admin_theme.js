// The theme that was chosen on the page holds for Django's administration, too.
"use strict";
document.documentElement.dataset.theme = document.querySelector("meta[name=theme]").content;
