// Loaded before the page is painted, so that a chosen theme never flashes into the other one.
// Without a choice the style sheet follows the system (prefers-color-scheme).
{
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
