import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jpeg from 'jpeg-js';
import jsQR from 'jsqr';
import { PNG } from 'pngjs';
import { isMissing } from './folder.js';
import { runProgram } from './program.js';

/** There is no pairing code where it was looked for. The message says what to do. */
export class NoCode extends Error {
  override name = 'NoCode';
}

const PATIENCE = 60_000;
const MAX_PHOTOS = 5;

/**
 * The pairing code behind what a person gave: the code itself, the link under the QR code, a picture of it (PNG or JPEG), or
 * on Android "camera" and "clipboard". Rejects with `NoCode`.
 */
export async function findCode(given: string): Promise<string> {
  const trimmed = given.trim();
  if (trimmed === 'camera') return fromCamera();
  if (trimmed === 'clipboard') return fromClipboard();
  if (/^[{]|^https?:/.test(trimmed)) return trimmed;
  if (/\.(png|jpe?g)$/i.test(trimmed)) return fromPicture(trimmed);
  throw new NoCode('That is no link, no pairing code and no picture of one (a .png or .jpg file).');
}

function fromPicture(path: string): string {
  const { data, width, height } = pixelsOf(path);
  const code = jsQR.default(new Uint8ClampedArray(data), width, height);
  if (code === null) throw new NoCode(`There is no QR code to be seen in ${path}. Is it sharp, and whole?`);
  return code.data;
}

function pixelsOf(path: string): { data: Uint8Array; width: number; height: number } {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    if (isMissing(error)) throw new NoCode(`There is no file ${path}.`);
    throw error;
  }
  try {
    return file[0] === 0xff ? jpeg.decode(file, { useTArray: true, maxMemoryUsageInMB: 1024 }) : PNG.sync.read(file);
  } catch (error) {
    throw new NoCode(`${path} cannot be read as a picture: ${(error as Error).message}`);
  }
}

async function fromCamera(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pairline-phone-'));
  const path = join(folder, 'photo.jpg');
  try {
    for (let photo = 0; photo < MAX_PHOTOS; photo++) {
      const { problem } = await runProgram('termux-camera-photo', [path], { timeout: PATIENCE });
      if (problem === 'missing') throw new NoCode('termux-camera-photo is missing: the camera works in Termux alone (pkg install termux-api).'); // prettier-ignore
      try {
        return fromPicture(path);
      } catch (error) {
        if (!(error instanceof NoCode)) throw error;
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  throw new NoCode(`${MAX_PHOTOS} photos were taken, and none shows the QR code. Hold the phone still, so that the code fills half the picture.`); // prettier-ignore
}

async function fromClipboard(): Promise<string> {
  const { output, problem } = await runProgram('termux-clipboard-get', [], { timeout: PATIENCE });
  if (problem === 'missing') throw new NoCode('termux-clipboard-get is missing: the clipboard works in Termux alone (pkg install termux-api).'); // prettier-ignore
  if (output.trim() === '') throw new NoCode('The clipboard is empty: copy the link under the QR code first.');
  return findCode(output);
}
