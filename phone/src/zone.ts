const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * ms since 1970 of a local time such as "2026-01-01 12:00:00" in a zone such as "Europe/Berlin". Of the two times that a clock
 * shows twice in autumn, it is one of them; nobody can tell which. Its digits may be those of any script. NaN when it is no
 * time.
 */
export function zonedTime(local: string, zone: string): number {
  const western = local.replace(/\p{Nd}/gu, valueOf);
  const asIfUtc = Date.parse(`${western.replace(' ', 'T')}Z`);
  if (Number.isNaN(asIfUtc)) return NaN;
  const first = asIfUtc - offsetAt(asIfUtc, zone);
  return asIfUtc - offsetAt(first, zone);
}

/** The digits of a script stand one after the other, from its zero on. */
function valueOf(digit: string): string {
  let zero = digit.codePointAt(0)!;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((digit.codePointAt(0)! - zero) % 10);
}

/** How far a zone's clock is ahead of UTC at a time, in ms. */
function offsetAt(time: number, zone: string): number {
  const [month, day, year, hour, minute, second] = formatFor(zone).format(time).match(/\d+/g)!.map(Number) as [number, number, number, number, number, number]; // prettier-ignore
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(time / 1000) * 1000;
}

function formatFor(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    const two = '2-digit' as const;
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: two, day: two, hour: two, minute: two, second: two }); // prettier-ignore
    formats.set(zone, format);
  }
  return format;
}
