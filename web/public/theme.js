// Before the first paint, so that a chosen theme does not flash. preferences.ts writes what is read here.
try {
  const { theme } = JSON.parse(localStorage.getItem('pairline.preferences') ?? '{}');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked or says nonsense: the system's theme it is.
}
