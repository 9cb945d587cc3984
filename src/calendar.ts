/** Whether a day, as ISO 8601 writes it, is in the calendar: `Date.parse` takes 31 February for 3 March. */
export function isDay(text: string): boolean {
  const begins = Date.parse(`${text}T00:00Z`);
  return !Number.isNaN(begins) && new Date(begins).toISOString().startsWith(text);
}
