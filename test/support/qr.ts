import { inflateSync } from 'node:zlib';
import jsQR from 'jsqr';

interface Bitmap {
  width: number;
  height: number;
  dark(x: number, y: number): boolean;
}

/** What a QR code says, read from a PNG of one grey bit a pixel. */
export function readPng(png: Buffer): string | undefined {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const [bits, colour, , , interlace] = png.subarray(24, 29);
  if (bits !== 1 || colour !== 0 || interlace !== 0) throw new Error('Another kind of PNG than this reader knows');
  const data: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      data.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  const rows = inflateSync(Buffer.concat(data));
  const stride = Math.ceil(width / 8) + 1;
  for (let y = 0; y < height; y++) if (rows[y * stride] !== 0) throw new Error('A filtered row');
  const dark = (x: number, y: number) => ((rows[y * stride + 1 + (x >> 3)]! >> (7 - (x & 7))) & 1) === 0;
  return read({ width, height, dark });
}

/** What a QR code says, read from an SVG that draws its modules as horizontal strokes of width 1. */
export function readSvg(svg: string): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)![1]);
  const strokes = /stroke="#000000" d="([^"]+)"/.exec(svg)![1]!;
  const drawn = new Set<number>();
  let [x, y] = [0, 0];
  for (const [, command, first, second] of strokes.matchAll(/([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?/g)) {
    if (command === 'M') [x, y] = [Number(first), Math.floor(Number(second))];
    else if (command === 'm') x += Number(first);
    else for (const end = x + Number(first); x < end; x++) drawn.add(y * size + x);
  }
  const scale = 4;
  const dark = (px: number, py: number) => drawn.has(Math.floor(py / scale) * size + Math.floor(px / scale));
  return read({ width: size * scale, height: size * scale, dark });
}

function read({ width, height, dark }: Bitmap): string | undefined {
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (dark(x, y)) pixels.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
  return jsQR.default(pixels, width, height)?.data;
}
