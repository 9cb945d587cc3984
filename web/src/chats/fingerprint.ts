/** A fingerprint in groups of four, as people read it out. */
export function shownFingerprint(fingerprint: string): string {
  return (
    fingerprint
      .replace(/\s/g, '')
      .match(/.{1,4}/g)
      ?.join(' ') ?? ''
  );
}
