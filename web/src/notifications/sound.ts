let context: AudioContext | undefined;

const NOTES = [
  { hertz: 660, at: 0 },
  { hertz: 880, at: 0.09 },
];
const SECONDS = 0.22;
const LOUDNESS = 0.12;

/** Two soft notes, made here: no file to load. Silent until the person has used the page once, as browsers ask for. */
export function playSound(): void {
  context ??= new AudioContext();
  for (const { hertz, at } of NOTES) {
    const start = context.currentTime + at;
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(LOUDNESS, start + 0.01);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + SECONDS);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + SECONDS);
  }
}
