/** A set of 64-bit values at about 12 bytes each: millions of texts are known without their being in memory. */
export class Fingerprints {
  private values = new Uint32Array(2 * 1024);
  private used = 0;

  has(fingerprint: Buffer): boolean {
    const at = this.find(...halves(fingerprint));
    return this.values[at] !== 0;
  }

  add(fingerprint: Buffer): void {
    const [high, low] = halves(fingerprint);
    this.put(high, low);
  }

  get size(): number {
    return this.used;
  }

  private put(high: number, low: number): void {
    const at = this.find(high, low);
    if (this.values[at] !== 0) return;
    this.values[at] = high;
    this.values[at + 1] = low;
    this.used += 1;
    if (this.used * 2 > this.values.length * 0.7) this.grow();
  }

  /** Where a value is, or the free place where it belongs. */
  private find(high: number, low: number): number {
    const places = this.values.length / 2;
    for (let place = low & (places - 1); ; place = (place + 1) & (places - 1)) {
      const at = 2 * place;
      if (this.values[at] === 0 || (this.values[at] === high && this.values[at + 1] === low)) return at;
    }
  }

  private grow(): void {
    const old = this.values;
    this.values = new Uint32Array(old.length * 2);
    this.used = 0;
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.put(old[at]!, old[at + 1]!);
  }
}

/** The first half is never 0, which marks a free place. */
function halves(fingerprint: Buffer): [number, number] {
  return [fingerprint.readUInt32LE(0) || 1, fingerprint.readUInt32LE(4)];
}
