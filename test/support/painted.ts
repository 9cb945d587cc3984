import { PNG } from 'pngjs';

/** A real picture, of many colours, as the bytes of a PNG file. */
export function painted(width: number, height: number): Buffer {
  const png = new PNG({ width, height });
  for (let at = 0; at < width * height; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    png.data.set([90 + (x * 120) / width, 150 + (y * 90) / height, 90 + ((x ^ y) & 31), 255], at * 4);
  }
  return PNG.sync.write(png);
}
