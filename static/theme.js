// Sets light or dark before the first paint, from the cookie "theme" (auto when there is none), and keeps to it.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = /(?:^|; )theme=(light|dark)(?:;|$)/.exec(document.cookie)?.[1];
    document.documentElement.dataset.bsTheme = chosen ?? (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("theme:chosen", apply);
})();
